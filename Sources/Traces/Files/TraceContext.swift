import Synchronization

/// What a binary trace says about itself: everything needed to read its events, and where and how they were recorded.
public struct TraceContext: Sendable {
  /// The format of the file, as its maker calls it: `trace.dat version 7`, `perf.data`.
  public var kind: TraceKind
  public var machine: RecordingMachine
  /// The events that the file describes, in the file's order.
  public internal(set) var events: RecordedEvents
  /// The ring buffers: the top one first. Never empty.
  public internal(set) var buffers: [TraceBuffer] = []
  /// The trace's clock (`local`, `mono`, `x86-tsc`…); nil where the file does not say.
  public internal(set) var clock: String?
  public internal(set) var host = TraceHost()
  public let taskNames = TaskNames()
  public internal(set) var symbols = KernelSymbols.none
  /// The formats of trace_printk and the strings that addresses in records stand for, as recorded: lines
  /// `0xADDRESS : "text"`.
  public internal(set) var printkFormats: [UInt8] = []
  /// The texts that describe the ring buffer's page and event headers (`events/header_page`, `events/header_event`).
  public internal(set) var headerPage: [UInt8] = []
  public internal(set) var headerEvent: [UInt8] = []
  /// What was found wrong when the file was opened. What could be read is read.
  public internal(set) var problems: [TraceFileError] = []

  init(kind: TraceKind, machine: RecordingMachine) {
    self.kind = kind
    self.machine = machine
    events = RecordedEvents(machine: machine)
  }

  /// Whether times are nanoseconds. `counter`, `uptime` and an unscaled `x86-tsc` are not
  /// (trace-cmd 3.4, trace-input.c: extract_trace_clock).
  public var timesAreNanoseconds: Bool {
    guard let clock else { return true }
    return !["counter", "uptime", "x86-tsc"].contains(clock) || isTSCScaled
  }

  /// Whether the file tells how to turn its TSC values into nanoseconds; `forEach` then does.
  public internal(set) var isTSCScaled = false
}

public enum TraceKind: Hashable, Sendable, CustomStringConvertible {
  case traceDat(version: Int)
  case perfData

  public var description: String {
    switch self {
    case .traceDat(let version): "trace.dat version \(version)"
    case .perfData: "perf.data"
    }
  }
}

/// One ring buffer of a trace: the top one, or an instance's.
public struct TraceBuffer: Hashable, Sendable {
  /// Empty for the top buffer.
  public var name: String
  public var clock: String?
  /// The number of CPUs that the file provides for, which need not all have data.
  public var cpuCount: Int
}

/// The machine and the command that made a recording. A fact that the file does not hold is nil.
public struct TraceHost: Hashable, Sendable {
  /// `uname -a` without the version: `Linux host 6.1.0 x86_64`.
  public var uname: String?
  public var hostname: String?
  /// The kernel's release.
  public var release: String?
  public var architecture: String?
  public var processor: String?
  public var cpuid: String?
  /// The version of trace-cmd or perf.
  public var recorder: String?
  /// The words of the recording command.
  public var commandLine: [String] = []
  /// For each CPU what the ring buffer's `stats` said at the end: text. An `overrun` above 0 means lost events.
  public var bufferStatistics: [String] = []
}

/// One kind of event that a file describes.
public struct RecordedEvent: Sendable {
  /// `kvm`, `sched`; empty for what is no tracepoint.
  public var system: String
  public var name: String
  /// `common_type` of its records; nil for what is no tracepoint.
  public var id: UInt16?
  /// The `format` text; empty if the file holds none.
  public var formatText: [UInt8]
}

/// The events that a file describes.
public struct RecordedEvents: Sendable, RandomAccessCollection {
  private var events: [RecordedEvent] = []
  /// For each `common_type` the index of its event, or -1.
  private var indexOfType: [Int32] = []
  private let machine: RecordingMachine
  private let formats = FormatCache()
  /// Where `common_pid` lies in every record of this trace.
  private(set) var threadIDLocation: FieldLocation

  init(machine: RecordingMachine) {
    self.machine = machine
    // Its place in every kernel since 2.6.31; replaced by what the first format says.
    threadIDLocation = FieldLocation(offset: 4, size: 4, isSigned: true, byteOrder: machine.byteOrder)
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { events.count }
  public subscript(index: Int) -> RecordedEvent { events[index] }

  /// The layout of an event's records, read from its text when first asked for.
  public func format(at index: Int) -> Result<EventFormat, EventFormatError> {
    formats.format(at: index) { () throws(EventFormatError) in
      let event = events[index]
      return try EventFormat(parsing: event.formatText.span, system: event.system, machine: machine)
    }
  }

  /// The index of the event of this name; of `system:name` or `name`.
  public func index(of name: String) -> Int? {
    events.firstIndex { $0.name == name || "\($0.system):\($0.name)" == name }
  }

  /// The index of the event whose records have this type.
  @inline(__always) func index(ofType type: UInt16) -> Int32 {
    Int(type) < indexOfType.count ? indexOfType[Int(type)] : -1
  }

  /// Adds an event. The first of several with the same type counts.
  mutating func append(_ event: RecordedEvent) {
    if let id = event.id {
      while indexOfType.count <= Int(id) { indexOfType.append(-1) }
      if indexOfType[Int(id)] < 0 { indexOfType[Int(id)] = Int32(truncatingIfNeeded: events.count) }
    }
    events.append(event)
    if events.count == 1 || threadIDIsAssumed, case .success(let format) = format(at: events.count - 1),
      let location = format.location(of: "common_pid"), location.size == 4, location.offset >= 0
    {
      threadIDLocation = location
      threadIDIsAssumed = false
    }
  }

  private var threadIDIsAssumed = true

  /// Reads `name:` and `ID:` of a format text and adds the event. A text without them is left out.
  mutating func append(system: String, formatText: [UInt8]) {
    var cursor = TextCursor(formatText.span)
    guard cursor.skip("name:") else { return }
    cursor.skipBlanks()
    let start = cursor.offset
    guard cursor.skip(upTo: UInt8(ascii: "\n")) else { return }
    let name = cursor.text.extracting(start..<cursor.offset).trimmed.string
    cursor.skipByte()
    guard cursor.skip("ID:") else { return }
    cursor.skipBlanks()
    guard let id = cursor.takeDecimal().flatMap(UInt16.init(exactly:)) else { return }
    append(RecordedEvent(system: system, name: name, id: id, formatText: formatText))
  }
}

/// The formats read so far.
private final class FormatCache: Sendable {
  private let formats = Mutex<[Int: Result<EventFormat, EventFormatError>]>([:])

  func format(
    at index: Int, _ make: () throws(EventFormatError) -> EventFormat
  ) -> Result<EventFormat, EventFormatError> {
    if let known = formats.withLock({ $0[index] }) { return known }
    let made = Result(catching: make)
    formats.withLock { $0[index] = made }
    return made
  }
}
