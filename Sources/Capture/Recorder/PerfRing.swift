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
  private let size: Int

  private static let pageSize = Int(getpagesize())

  /// A tracepoint to record: its number in tracefs, and which of its records to keep; nil keeps all.
  struct Tracepoint {
    var id: UInt64
    var filter: String?
  }

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
    // The kernel copies the structure during the call.
    let event = try OwnedDescriptor(checking: unsafe clinux_perf_event_open(&attributes, threadID))
    if let filter = tracepoint.filter { setFilter(filter, of: event) }
    return event
  }

  /// A filter that this kernel does not take is left out: then more is recorded.
  private static func setFilter(_ filter: String, of event: OwnedDescriptor) {
    var text = Array(filter.utf8CString)
    // The kernel copies the text, which ends with NUL, during the call.
    unsafe text.withUnsafeMutableBytes { bytes in
      _ = unsafe clinux_ioctl_pointer(event.descriptor.rawValue, clinux_perf_set_filter, bytes.baseAddress)
    }
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

  /// Stops or restarts writing; a paused ring loses what happens meanwhile.
  func pause(_ isPaused: Bool) {
    guard let first = events.first else { return }
    _ = clinux_ioctl_number(first.descriptor.rawValue, clinux_perf_pause_output, isPaused ? 1 : 0)
  }

  /// The records, newest first, as one piece, cut where the oldest has been overwritten. The ring must be paused.
  ///
  /// As tools/perf/util/mmap.c: overwrite_rb_find_range does: from the head upwards until the ring has been round once
  /// or a header is empty.
  func contents() -> (bytes: [UInt8], isCut: Bool) {
    let head = Int(truncatingIfNeeded: unsafe clinux_perf_head(base)) & (size - 1)
    var bytes = [UInt8](repeating: 0, count: size)
    // Both pieces lie inside the ring: [head, size) and [0, head).
    unsafe bytes.withUnsafeMutableBytes { target in
      let records = unsafe base + Self.pageSize
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(start: records + head, count: size - head))
      unsafe UnsafeMutableRawBufferPointer(rebasing: target[(size - head)...])
        .copyMemory(from: UnsafeRawBufferPointer(start: records, count: head))
    }
    let end = PerfRecordHeaders.end(of: bytes)
    let isCut = end.isFull
    bytes.removeSubrange(end.offset...)
    return (bytes, isCut)
  }
}

/// The record headers of a perf ring: u32 type, u16 misc, u16 size.
enum PerfRecordHeaders {
  /// Where the whole records end, and whether the ring is full: what comes after was overwritten.
  static func end(of bytes: [UInt8]) -> (offset: Int, isFull: Bool) {
    var offset = 0
    while offset + 8 <= bytes.count {
      let size = Int(bytes[offset + 6]) | Int(bytes[offset + 7]) << 8
      if size < 8 { return (offset, false) }
      if offset + size > bytes.count { return (offset, true) }
      offset += size
    }
    return (offset, true)
  }
}
