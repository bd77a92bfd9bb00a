import CLinux
import Glibc
import SystemPackage

/// The kernel's memory of one thread's last events: a perf ring that overwrites its oldest records.
///
/// The mapping is read-only, which tells the kernel not to wait for a reader (kernel/events/core.c: perf_mmap), and the
/// events are opened with `write_backward`, so that a reader finds the newest record first.
@safe final class PerfRing {
  let threadID: Int32
  /// The first owns the ring; the others write into it.
  private var events: [OwnedDescriptor]
  private let base: UnsafeRawPointer
  /// Bytes of records, a power of two, after one page of the kernel's own.
  let size: Int
  /// What was counted when writing was stopped; nil while it goes on.
  private var countsAtPause: EventCounts?
  /// What was counted while writing was stopped.
  private var countsWhilePaused = EventCounts()

  private static let pageSize = Int(getpagesize())

  /// Opens the events for one thread.
  ///
  /// - Parameters:
  ///   - tracepoints: at least one.
  ///   - size: the wanted size, a power of two; a smaller one is taken where the kernel grants no more.
  init(threadID: Int32, tracepoints: [Tracepoint], size wanted: Int) throws(Errno) {
    self.threadID = threadID
    guard let leader = tracepoints.first else { throw .invalidArgument }
    let first = try Self.open(leader, threadID)
    let mapped = unsafe try Self.map(first, wanted)
    unsafe base = mapped.0
    size = unsafe mapped.1
    events = [first]
    for tracepoint in tracepoints.dropFirst() {
      let event = try Self.open(tracepoint, threadID)
      let result = clinux_ioctl_number(
        event.descriptor.rawValue, clinux_perf_set_output, UInt(first.descriptor.rawValue))
      guard result == 0 else { throw Errno(rawValue: errno) }
      events.append(event)
    }
  }

  deinit { unsafe munmap(UnsafeMutableRawPointer(mutating: base), Self.pageSize + size) }

  private static func open(_ tracepoint: Tracepoint, _ threadID: Int32) throws(Errno) -> OwnedDescriptor {
    var attributes = perf_event_attr()
    attributes.type = UInt32(PERF_TYPE_TRACEPOINT.rawValue)
    attributes.size = UInt32(MemoryLayout<perf_event_attr>.size)
    attributes.config = tracepoint.id
    attributes.sample_period = 1
    attributes.sample_type = PerfSample.type
    attributes.write_backward = 1
    attributes.read_format = UInt64(PERF_FORMAT_LOST.rawValue)
    let event: OwnedDescriptor
    do throws(Errno) {
      event = try open(&attributes, threadID)
    } catch .invalidArgument {
      // Linux before 6.0 does not count what it drops.
      attributes.read_format = 0
      event = try open(&attributes, threadID)
    }
    if let filter = tracepoint.filter { try setFilter(filter, of: event) }
    return event
  }

  private static func open(_ attributes: inout perf_event_attr, _ threadID: Int32) throws(Errno) -> OwnedDescriptor {
    // The kernel copies the structure during the call.
    try OwnedDescriptor(checking: unsafe clinux_perf_event_open(&attributes, threadID))
  }

  private static func setFilter(_ filter: String, of event: OwnedDescriptor) throws(Errno) {
    var text = Array(filter.utf8CString)
    // The kernel copies the text, which ends with NUL, during the call.
    let result = unsafe text.withUnsafeMutableBytes { bytes in
      unsafe clinux_ioctl_pointer(event.descriptor.rawValue, clinux_perf_set_filter, bytes.baseAddress)
    }
    guard result == 0 else { throw Errno(rawValue: errno) }
  }

  /// Without CAP_PERFMON the pages count against perf_event_mlock_kb and RLIMIT_MEMLOCK: then a smaller ring it is.
  private static func map(_ event: OwnedDescriptor, _ wanted: Int) throws(Errno) -> (UnsafeRawPointer, Int) {
    var size = wanted
    while true {
      let mapping = unsafe mmap(nil, pageSize + size, PROT_READ, MAP_SHARED, event.descriptor.rawValue, 0)
      if let mapping = unsafe mapping, unsafe mapping != MAP_FAILED {
        return (UnsafeRawPointer(mapping), size)
      }
      let error = Errno(rawValue: errno)
      guard error == .notPermitted || error == .noMemory, size > 1 << 16 else { throw error }
      size /= 2
    }
  }
}

// MARK: Stopping and counting

/// How many events a recorder met.
struct EventCounts: Hashable {
  /// Those that passed their filters.
  var all: UInt64 = 0
  /// Those of them that the kernel could not write down; 0 before Linux 6.0, which does not say.
  var dropped: UInt64 = 0

  static func + (a: Self, b: Self) -> Self { Self(all: a.all &+ b.all, dropped: a.dropped &+ b.dropped) }
  static func - (a: Self, b: Self) -> Self { Self(all: a.all &- b.all, dropped: a.dropped &- b.dropped) }
}

extension PerfRing {
  /// Stops or restarts writing; what happens meanwhile is neither recorded nor counted.
  func pause(_ isPaused: Bool) {
    guard isPaused != (countsAtPause != nil), let first = events.first else { return }
    if let countsAtPause { countsWhilePaused = rawCounts - countsAtPause }
    _ = clinux_ioctl_number(first.descriptor.rawValue, clinux_perf_pause_output, isPaused ? 1 : 0)
    countsAtPause = isPaused ? rawCounts - countsWhilePaused : nil
  }

  /// The events so far.
  var counts: EventCounts { countsAtPause ?? rawCounts - countsWhilePaused }

  private var rawCounts: EventCounts {
    events.reduce(EventCounts()) { sum, event in
      // With PERF_FORMAT_LOST two u64: how many, and how many of them were lost.
      var words: [UInt64] = [0, 0]
      // The kernel writes into the array's own storage.
      _ = unsafe words.withUnsafeMutableBytes { unsafe try? event.descriptor.read(into: $0) }
      return sum + EventCounts(all: words[0], dropped: words[1])
    }
  }

  /// Gives away the events, to be closed: what is in the ring stays.
  func takeEvents() -> [OwnedDescriptor] {
    pause(true)
    defer { events = [] }
    return events
  }
}

// MARK: Reading

extension PerfRing {
  /// The newest records, newest first, as one piece. The ring must be paused.
  ///
  /// - Parameter limit: How many at most; nil for all.
  /// - Returns: Also whether older ones were overwritten, or left out for the limit.
  func contents(last limit: Int? = nil) -> (bytes: [UInt8], isCut: Bool) {
    let records = recordHeaders.extent(ofFirst: limit ?? .max)
    return (copy(records.size), records.isCut)
  }

  /// How many records the ring holds. It must be paused.
  var recordCount: Int { recordHeaders.extent(ofFirst: .max).count }

  /// Where the newest record begins.
  private var head: Int { Int(truncatingIfNeeded: unsafe clinux_perf_head(base)) & (size - 1) }

  private var recordHeaders: PerfRecordHeaders {
    let head = head
    let records = unsafe base + Self.pageSize
    return PerfRecordHeaders(byteCount: size) { offset in
      // Headers are aligned to eight bytes, so one that begins inside the ring ends inside.
      unsafe records.load(fromByteOffset: (head &+ offset) & (self.size - 1), as: UInt64.self)
    }
  }

  private func copy(_ count: Int) -> [UInt8] {
    let head = head
    let first = min(count, size - head)
    let records = unsafe base + Self.pageSize
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { target, initializedCount in
      initializedCount = count
      // Both pieces lie inside the ring: [head, head + first) and [0, count - first).
      let bytes = UnsafeMutableRawBufferPointer(target)
      unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(start: records + head, count: first))
      unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[first..<count])
        .copyMemory(from: UnsafeRawBufferPointer(start: records, count: count - first))
    }
  }
}

/// The headers of the records in a perf ring, newest first: u32 type, u16 misc, u16 size.
struct PerfRecordHeaders {
  /// Of all records and what is left of one that was overwritten in part.
  let byteCount: Int
  /// The eight bytes at an offset, a multiple of eight below `byteCount`, as a little-endian number.
  let header: (Int) -> UInt64

  /// How much the first records take, up to a number of them.
  ///
  /// As tools/perf/util/mmap.c: overwrite_rb_find_range does, upwards until the ring has been round once or a header is
  /// empty.
  func extent(ofFirst limit: Int) -> (size: Int, count: Int, isCut: Bool) {
    var offset = 0
    var count = 0
    while offset + 8 <= byteCount {
      let size = Int(header(offset) >> 48)
      if size < 8 || size % 8 != 0 { return (offset, count, false) }
      if count == limit || offset + size > byteCount { return (offset, count, true) }
      offset += size
      count += 1
    }
    return (offset, count, true)
  }
}
