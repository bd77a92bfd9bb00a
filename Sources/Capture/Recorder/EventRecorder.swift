import SystemPackage

/// What to record.
public struct RecordingRequest: Sendable {
  public var tracepoints: [TracepointSelector]
  public var subject: Subject
  /// Bytes of buffer for each CPU.
  public var bufferSize = 4 << 20
  /// Whether only the end is kept: as much as the buffers hold.
  public var keepsEndOnly = false
  /// Nil takes perf_event_open, which leaves nothing behind however this process ends, and tracefs where the kernel
  /// refuses that.
  public var way: RecordingWay?

  /// Whose events.
  public enum Subject: Hashable, Sendable {
    /// Of a program that is run, and of all that it starts.
    case command([String])
    /// Of a process that runs already, and of what it starts.
    case process(Int32)
    /// Of everybody.
    case system
  }

  public init(_ tracepoints: [TracepointSelector], of subject: Subject) {
    self.tracepoints = tracepoints
    self.subject = subject
  }
}

/// How the kernel is asked to record.
public enum RecordingWay: String, Hashable, Sendable, CaseIterable {
  case perf
  case tracefs
}

/// How far a recording has come.
public struct RecordingProgress: Hashable, Sendable {
  /// Taken out of the kernel's buffers so far; nil of raw pages, of which only the bytes are known, and where only the end
  /// is kept.
  public var events: UInt64?
  public var bytes: UInt64
  /// How many events were lost as far as is known.
  public var lost: UInt64
  public var time: Duration
}

/// What a recording came to.
public struct RecordingSummary: Hashable, Sendable {
  public var way: RecordingWay
  public var tracepoints: [Tracepoint]
  public var progress: RecordingProgress
  /// Whether older events than those that were kept were overwritten, as ``RecordingRequest/keepsEndOnly`` has it.
  public var isCut: Bool
  /// How the command ended; nil where none was run.
  public var end: ProcessEnd?
}

/// A recording that is going on.
protocol EventRecorder: AnyObject {
  var way: RecordingWay { get }
  var tracepoints: [Tracepoint] { get }
  /// Readable when a buffer fills.
  var descriptors: [FileDescriptor] { get }
  /// Takes what there is out of the kernel's buffers.
  func drain() throws
  var progress: (events: UInt64?, bytes: UInt64, lost: UInt64) { get }
  /// Ends recording, takes what is left, and writes the file. Tells whether older events were overwritten.
  func finish(to path: FilePath) throws -> Bool
}

/// The CPUs that are online: what /sys/devices/system/cpu/online says, such as `0-3,8`.
func onlineCPUs() -> [Int32] {
  let text = (try? wholeText("/sys/devices/system/cpu/online")) ?? "0"
  return text.prefix { $0 != "\n" }.split(separator: ",").flatMap { range -> [Int32] in
    let ends = range.split(separator: "-").compactMap { Int32($0) }
    guard let first = ends.first, let last = ends.last, first <= last, last < 1 << 16 else { return [] }
    return Array(first...last)
  }
}
