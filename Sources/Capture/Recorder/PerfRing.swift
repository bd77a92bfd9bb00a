import CLinux
import Glibc
import SystemPackage

/// The kernel's memory of one thread's last events: a perf ring that overwrites its oldest records.
///
/// The mapping is read-only, which tells the kernel not to wait for a reader (kernel/events/core.c: perf_mmap), and the
/// events are opened with `write_backward`, so that a reader finds the newest record first.
@safe final class PerfRing {
  private let mapping: PerfMapping
  /// Whose events the records are; nil where each says so.
  let thread: Int32?
  /// Bytes of records, a power of two.
  var size: Int { mapping.size }
  /// What was counted when writing was stopped; nil while it goes on.
  private var countsAtPause: EventCounts?
  /// What was counted while writing was stopped.
  private var countsWhilePaused = EventCounts()

  /// Opens the events.
  ///
  /// - Parameters:
  ///   - tracepoints: at least one.
  ///   - size: the wanted size, a power of two; a smaller one is taken where the kernel grants no more.
  init(_ target: PerfTarget, tracepoints: [Tracepoint], size: Int) throws(Errno) {
    mapping = try PerfMapping(tracepoints, of: target, size: size, isBackward: true)
    thread = target.onlyThread
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
    guard isPaused != (countsAtPause != nil), let first = mapping.events.first else { return }
    if let countsAtPause { countsWhilePaused = mapping.counts - countsAtPause }
    _ = clinux_ioctl_number(first.descriptor.rawValue, clinux_perf_pause_output, isPaused ? 1 : 0)
    countsAtPause = isPaused ? mapping.counts - countsWhilePaused : nil
  }

  /// The events so far.
  var counts: EventCounts { countsAtPause ?? mapping.counts - countsWhilePaused }

  /// Whether events were lost of which no record in the ring says where. It must be paused.
  ///
  /// What is met while writing is stopped counts as lost for the kernel, and the next record says so, too.
  var hasUnplacedLosses: Bool {
    counts.dropped > 0 && PerfSample.lostEvents(in: contents().bytes) < counts.dropped &+ countsWhilePaused.dropped
  }

  /// Gives away the events, to be closed: what is in the ring stays.
  func takeEvents() -> [OwnedDescriptor] {
    pause(true)
    return mapping.takeEvents()
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
  private var head: Int { Int(truncatingIfNeeded: unsafe clinux_perf_head(mapping.base)) & (size - 1) }

  private var recordHeaders: PerfRecordHeaders {
    let head = head
    let records = unsafe UnsafeRawPointer(mapping.base) + PerfMapping.pageSize
    return PerfRecordHeaders(byteCount: size) { offset in
      // Headers are aligned to eight bytes, so one that begins inside the ring ends inside.
      unsafe records.load(fromByteOffset: (head &+ offset) & (self.size - 1), as: UInt64.self)
    }
  }

  private func copy(_ count: Int) -> [UInt8] {
    let head = head
    let first = min(count, size - head)
    let records = unsafe UnsafeRawPointer(mapping.base) + PerfMapping.pageSize
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
