public import Files

/// One event of a binary trace, as the file holds it.
///
/// The payload is borrowed from the mapped file or from a buffer that is reused: an event lives only while the closure
/// it was given to runs.
public struct TraceEvent: ~Escapable {
  /// In the units of the trace's clock, nanoseconds for all but a few (`TraceContext.clock`), with the file's time
  /// offsets applied.
  public let time: UInt64
  /// The record as its format describes it, from `common_type` on. Empty for a sample that is no tracepoint's.
  public let payload: RawSpan
  /// The CPU it was recorded on.
  public let cpu: Int
  /// Which of `TraceContext.events` it is; nil if the file does not describe the record's type.
  public var event: Int? { eventIndex >= 0 ? Int(eventIndex) : nil }
  /// The thread that was running: `common_pid`.
  public let threadID: Int32
  let eventIndex: Int32
  /// Which of `TraceContext.buffers` it was recorded in.
  public let buffer: Int
  /// The thread's name at that time.
  public let taskName: TaskName

  @_lifetime(copy payload)
  init(
    time: UInt64, payload: RawSpan, cpu: Int, threadID: Int32, eventIndex: Int32, buffer: Int, taskName: TaskName
  ) {
    self.time = time
    self.payload = payload
    self.cpu = cpu
    self.threadID = threadID
    self.eventIndex = eventIndex
    self.buffer = buffer
    self.taskName = taskName
  }

  /// `common_type`, by which a record is told to be of its event; nil if there is no record.
  public func type(_ byteOrder: ByteOrder) -> UInt16? {
    payload.byteCount >= 2 ? payload.load(UInt16.self, at: 0, byteOrder) : nil
  }
}

/// A part of a file that cannot be read. Reading goes on after it.
public struct TraceDamage: Hashable, Sendable, CustomStringConvertible {
  public enum Problem: Hashable, Sendable {
    case pageCut
    case pageOverfull
    case eventBeyondPage
    case eventTooShort
    case chunkCut
    case chunkTooLarge
    case chunkUndecodable
    case recordTooShort
    case recordCut
    case sampleCut
    case sampleUnknown
    case compressedRecordUndecodable
  }

  public var problem: Problem
  /// In the file; in the decompressed data where the file is compressed as a whole.
  public var offset: Int
  public var cpu: Int?
  public var buffer: Int

  public var description: String {
    let what =
      switch problem {
      case .pageCut: "the file ends inside a ring-buffer page"
      case .pageOverfull: "a ring-buffer page claims to hold more than fits; the page is skipped"
      case .eventBeyondPage: "an event goes beyond its ring-buffer page; the rest of the page is skipped"
      case .eventTooShort: "an event is too short to have a type; it is skipped"
      case .chunkCut: "a compressed chunk is cut off; the rest of this CPU's data is missing"
      case .chunkTooLarge: "a compressed chunk claims an impossible size; the rest of this CPU's data is skipped"
      case .chunkUndecodable: "a compressed chunk is damaged; it is skipped"
      case .recordTooShort: "a record is shorter than its own header; nothing after it can be read"
      case .recordCut: "a record goes beyond the end of the data; nothing after it can be read"
      case .sampleCut: "a sample is shorter than its fields; it is skipped"
      case .sampleUnknown: "a sample belongs to none of the recorded events; it is skipped"
      case .compressedRecordUndecodable: "a compressed record is damaged; nothing after it can be read"
      }
    let place = cpu.map { "CPU \($0): " } ?? ""
    return "\(place)\(what) (at offset \(offset))"
  }
}

/// What a trace is a sequence of.
public enum TraceItem: ~Escapable {
  case event(TraceEvent)
  /// Events are missing here, because the recording could not keep up: before the next event of that CPU, which has
  /// this time.
  case lost(LostEvents, buffer: Int, time: UInt64)
  case damage(TraceDamage)
}

/// What a closure that is given the items of a trace wants to happen next.
public enum Walk: Sendable {
  case proceed
  case stop
}
