import CLinux
import Glibc
import SystemPackage

/// Whose events are recorded.
struct PerfTarget {
  /// 0 is the calling thread, -1 every thread of a CPU.
  var threads: [Int32]
  /// Nil for every CPU, on which only one thread can be recorded, without its children.
  var cpu: Int32?
  /// Whether threads and processes that these start are recorded, too.
  var includesChildren = false
  /// Whether recording starts when the thread, or a child of it, executes a program.
  var startsAtExec = false

  static func thread(_ threadID: Int32) -> Self { Self(threads: [threadID]) }

  /// The thread whose events all are; nil where there may be others, too.
  var onlyThread: Int32? {
    guard threads.count == 1, !includesChildren, let thread = threads.first, thread > 0 else { return nil }
    return thread
  }
}

extension Tracepoint {
  /// Opens the tracepoint as an event of perf.
  ///
  /// - Parameters:
  ///   - thread: One of the target's.
  ///   - isBackward: Whether its ring is written backwards and overwritten.
  ///   - tellsNames: Whether it also makes a record when a thread's name changes.
  func open(
    _ thread: Int32, of target: PerfTarget, isBackward: Bool, tellsNames: Bool
  ) throws(Errno) -> OwnedDescriptor {
    var attributes = perf_event_attr()
    attributes.type = UInt32(PERF_TYPE_TRACEPOINT.rawValue)
    attributes.size = UInt32(MemoryLayout<perf_event_attr>.size)
    attributes.config = id
    attributes.sample_period = 1
    attributes.sample_type = PerfSample.type(tellsThread: target.onlyThread == nil)
    attributes.write_backward = isBackward ? 1 : 0
    attributes.inherit = target.includesChildren ? 1 : 0
    attributes.disabled = target.startsAtExec ? 1 : 0
    attributes.enable_on_exec = target.startsAtExec ? 1 : 0
    attributes.comm = tellsNames ? 1 : 0
    attributes.read_format = UInt64(PERF_FORMAT_LOST.rawValue)
    let event: OwnedDescriptor
    do throws(Errno) {
      event = try Self.open(&attributes, thread, target.cpu)
    } catch .invalidArgument {
      // Linux before 6.0 does not count what it drops.
      attributes.read_format = 0
      event = try Self.open(&attributes, thread, target.cpu)
    }
    if let filter { try Self.setFilter(filter, of: event) }
    return event
  }

  private static func open(
    _ attributes: inout perf_event_attr, _ thread: Int32, _ cpu: Int32?
  ) throws(Errno) -> OwnedDescriptor {
    // The kernel copies the structure during the call.
    try OwnedDescriptor(checking: unsafe clinux_perf_event_open(&attributes, thread, cpu ?? -1))
  }

  private static func setFilter(_ filter: String, of event: OwnedDescriptor) throws(Errno) {
    var text = Array(filter.utf8CString)
    // The kernel copies the text, which ends with NUL, during the call.
    let result = unsafe text.withUnsafeMutableBytes { bytes in
      unsafe clinux_ioctl_pointer(event.descriptor.rawValue, clinux_perf_set_filter, bytes.baseAddress)
    }
    guard result == 0 else { throw Errno(rawValue: errno) }
  }
}

/// Events of perf that write into one ring, and the ring.
@safe final class PerfMapping {
  /// The first owns the ring; the others write into it.
  private(set) var events: [OwnedDescriptor] = []
  /// One page of the kernel's own, then `size` bytes of records.
  let base: UnsafeMutableRawPointer
  /// A power of two.
  let size: Int

  static let pageSize = Int(getpagesize())

  /// - Parameters:
  ///   - tracepoints: at least one.
  ///   - size: the wanted size, a power of two; a smaller one is taken where the kernel grants no more.
  ///   - isBackward: Whether the oldest records are overwritten; else records that find no room are lost.
  init(
    _ tracepoints: [Tracepoint], of target: PerfTarget, size wanted: Int, isBackward: Bool
  ) throws(Errno) {
    var opened: [OwnedDescriptor] = []
    for thread in target.threads {
      for tracepoint in tracepoints {
        do throws(Errno) {
          let event = try tracepoint.open(
            thread, of: target, isBackward: isBackward, tellsNames: opened.isEmpty && !isBackward)
          opened.append(event)
        } catch .noSuchProcess where target.threads.count > 1 {
          // A thread may end before its turn comes.
          continue
        }
      }
    }
    guard let first = opened.first else { throw .noSuchProcess }
    let mapped = unsafe try Self.map(first, wanted, isBackward)
    unsafe base = mapped.0
    size = unsafe mapped.1
    events = opened
    for event in opened.dropFirst() {
      let result = clinux_ioctl_number(
        event.descriptor.rawValue, clinux_perf_set_output, UInt(first.descriptor.rawValue))
      guard result == 0 else { throw Errno(rawValue: errno) }
    }
  }

  deinit { unsafe munmap(base, Self.pageSize + size) }

  /// Gives away the events, to be closed: what is in the ring stays.
  func takeEvents() -> [OwnedDescriptor] {
    defer { events = [] }
    return events
  }

  /// How many events were met, and how many of them could not be written down.
  var counts: EventCounts {
    events.reduce(EventCounts()) { sum, event in
      // With PERF_FORMAT_LOST two u64: how many, and how many of them were lost.
      var words: [UInt64] = [0, 0]
      // The kernel writes into the array's own storage.
      _ = unsafe words.withUnsafeMutableBytes { unsafe try? event.descriptor.read(into: $0) }
      return sum + EventCounts(all: words[0], dropped: words[1])
    }
  }

  /// Without CAP_PERFMON the pages count against perf_event_mlock_kb and RLIMIT_MEMLOCK: then a smaller ring it is.
  ///
  /// A mapping that cannot be written tells the kernel to overwrite (kernel/events/core.c: perf_mmap).
  private static func map(
    _ event: OwnedDescriptor, _ wanted: Int, _ isBackward: Bool
  ) throws(Errno) -> (UnsafeMutableRawPointer, Int) {
    var size = wanted
    let protection = isBackward ? PROT_READ : PROT_READ | PROT_WRITE
    while true {
      let mapping = unsafe mmap(nil, pageSize + size, protection, MAP_SHARED, event.descriptor.rawValue, 0)
      if let mapping = unsafe mapping, unsafe mapping != MAP_FAILED { return unsafe (mapping, size) }
      let error = Errno(rawValue: errno)
      guard error == .notPermitted || error == .noMemory, size > 1 << 16 else { throw error }
      size /= 2
    }
  }
}
