/// One event of a text trace, as slices of its line.
public struct TextTraceLine: ~Escapable {
  /// The whole line, but for marks of quotation and blanks around it.
  public let line: Span<UInt8>
  /// The line's number in the text, from 1.
  public let number: Int
  private let header: TextTraceHeader
  private let event: TextTraceEventName

  @_lifetime(copy line)
  init(line: Span<UInt8>, number: Int, header: TextTraceHeader, event: TextTraceEventName) {
    self.line = line
    self.number = number
    self.header = header
    self.event = event
  }

  /// The name of the thread that ran; nil if the line has none or the tracer did not know it (`<...>`, `:1234`).
  public var task: Span<UInt8>? {
    @_lifetime(copy self)
    get {
      let task = line.extracting(header.task)
      return task.isEmpty || task.equals("<...>") || task[0] == UInt8(ascii: ":") ? nil : task
    }
  }

  /// Whether the line begins with the event's name: what stood before it was cut.
  public var isBare: Bool { (event.system.isEmpty ? event.name : event.system).lowerBound == 0 }

  /// The thread that ran.
  public var threadID: Int32? { header.threadID }
  /// The process of that thread, where the line shows it.
  public var processID: Int32? { header.processID }
  /// The host CPU.
  public var cpu: Int? { header.cpu }
  /// When, in nanoseconds of the trace's clock; nil if the line has no time or one in unknown units.
  public var time: UInt64? { header.time }
  /// When, in units that the line does not say: clocks such as `counter`, `uptime` and `x86-tsc` print an integer.
  public var ticks: UInt64? { header.ticks }

  /// The event's system, which perf prints and ftrace does not.
  public var system: Span<UInt8>? {
    @_lifetime(copy self)
    get { event.system.isEmpty ? nil : line.extracting(event.system) }
  }

  public var name: Span<UInt8> {
    @_lifetime(copy self)
    get { line.extracting(event.name) }
  }

  /// What follows the name, without blanks around it.
  public var text: Span<UInt8> {
    @_lifetime(copy self)
    get { line.extracting(event.end..<line.count).trimmed }
  }
}

/// The parts of a line before its event's name.
struct TextTraceHeader {
  var task = 0..<0
  var threadID: Int32?
  var processID: Int32?
  var cpu: Int?
  var time: UInt64?
  var ticks: UInt64?
}

/// Where in a line the event's name is: `kvm_exit:` or `kvm:kvm_exit:`.
struct TextTraceEventName {
  var system: Range<Int>
  var name: Range<Int>
  /// The offset after the colon.
  var end: Int

  /// Reads a name that begins at this offset.
  init?(in line: Span<UInt8>, at offset: Int) {
    var cursor = TextCursor(line)
    cursor.move(to: offset)
    let first = offset..<(offset + cursor.takeIdentifier().count)
    guard !first.isEmpty, cursor.skip(UInt8(ascii: ":")) else { return nil }
    let second = cursor.offset..<(cursor.offset + cursor.takeIdentifier().count)
    if second.isEmpty {
      guard cursor.next?.isBlank ?? true else { return nil }
      system = 0..<0
      name = first
    } else {
      guard cursor.skip(UInt8(ascii: ":")), cursor.next?.isBlank ?? true else { return nil }
      system = first
      name = second
    }
    end = cursor.offset
  }
}
