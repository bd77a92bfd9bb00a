/// Reads traces in the forms that `trace-cmd report`, `perf script` and `/sys/kernel/tracing/trace` print, as files and
/// as people paste them into reports: quoted, indented, with other text around, cut at either end.
///
/// A line is recognised by what it holds, not by columns, because options of the tools add, drop and resize them. What
/// the forms have in common is a time or a CPU, and after it the event's name with a colon. The rest is read backwards
/// from there, since a task's name may itself hold blanks, dashes and colons:
///
///     qemu-system-x86-125   [000]     8.732914: kvm_exit:             reason …      trace-cmd report, up to 3.2
///     qemu-system-x86-125   [000] d..1.     8.732914: kvm_exit: reason …            since 3.3, and ftrace's trace
///     qemu-system-x86-125     (    120) [000] d..1.     8.732914: kvm_exit: …       with the option record-tgid
///     qemu-sys-125     0d..1.     8.732914: kvm_exit: …                             trace-cmd report -l
///     qemu-system-x86 14628/14630 [000]  2114.498156:      1    kvm:kvm_exit: …     perf script -F +pid,+period
///     kvm_exit: …                                                                   cut, if the name is known
public struct TextTraceReader: ~Escapable {
  private let text: Span<UInt8>
  private let isKnownEvent: (Span<UInt8>) -> Bool
  private var offset = 0
  /// The lines read so far.
  public private(set) var lineCount = 0
  /// Of these, the lines that are neither events nor marks nor headings nor empty.
  public private(set) var unrecognizedLineCount = 0

  /// - Parameters:
  ///   - text: the whole text, or a part of it that begins and ends anywhere.
  ///   - isKnownEvent: whether this is the name of an event. Then a line that begins with it and a colon is that event,
  ///     even though nothing before it makes it one, as people cut it off.
  @_lifetime(copy text)
  public init(_ text: Span<UInt8>, isKnownEvent: @escaping (Span<UInt8>) -> Bool = { _ in false }) {
    self.text = text
    self.isKnownEvent = isKnownEvent
  }

  /// An element of a text trace.
  public enum Item: ~Escapable {
    case event(TextTraceLine)
    /// Events are missing here.
    case lost(LostEvents, line: Int)
  }

  /// Whether the text ends within a line, so that the last one may lack its end.
  public var endsInsideLine: Bool { text.count > 0 && text[text.count - 1] != UInt8(ascii: "\n") }

  /// The next event or mark; nil at the end.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func next() -> Item? {
    while offset < text.count {
      let isFirst = offset == 0
      let line = takeLine().withoutQuoting
      if let (header, event) = place(in: line, isFirst: isFirst) {
        return .event(TextTraceLine(line: line, number: lineCount, header: header, event: event))
      }
      if let lost = LostEvents(line: line) { return .lost(lost, line: lineCount) }
      if !line.isTraceHeading { unrecognizedLineCount += 1 }
    }
    return nil
  }

  /// Reads the next line as the rest of the event before it: mail programs break long lines, and people indent what
  /// follows. Nil, without reading it, if it is not indented, or is an event, a mark or a heading of its own.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func nextContinuation() -> Span<UInt8>? {
    var ahead = self
    guard ahead.offset > 0, ahead.offset < text.count else { return nil }
    let whole = ahead.takeLine()
    let line = whole.withoutQuoting
    guard whole.isIndented, !line.isTraceHeading, LostEvents(line: line) == nil,
      place(in: line, isFirst: false) == nil
    else { return nil }
    self = ahead
    return line
  }

  /// The next line, which there must be.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  private mutating func takeLine() -> Span<UInt8> {
    let start = offset
    let end = text.firstIndex(of: UInt8(ascii: "\n"), from: start) ?? text.count
    offset = end + 1
    lineCount += 1
    return text.extracting(start..<end)
  }

  /// Where the line says which event it is, and what stands before it; nil if it is no event.
  private func place(in line: Span<UInt8>, isFirst: Bool) -> (TextTraceHeader, TextTraceEventName)? {
    if let found = TextTraceHeader.find(in: line, isFirst: isFirst) { return found }
    guard let event = TextTraceEventName(in: line, at: 0), isKnownEvent(line.extracting(event.name)) else {
      return nil
    }
    return (TextTraceHeader(), event)
  }
}

extension LostEvents {
  /// The marks of a hole:
  ///
  ///     CPU:0 [LOST 12 EVENTS]                        kernel/trace/trace.c: print_trace_line, Linux 6.1
  ///     CPU:0 [12 EVENTS DROPPED]                     trace-cmd 3.1, trace-read.c
  ///     qemu 1 [000] 12.3: PERF_RECORD_LOST lost 12   perf script --show-lost-events
  ///     # entries-in-buffer/entries-written: 2/14     the head of ftrace's trace: 12 were overwritten
  fileprivate init?(line: Span<UInt8>) {
    if let start = line.firstIndex(of: "CPU:") {
      var cursor = TextCursor(line)
      cursor.move(to: start + 4)
      guard let cpu = cursor.takeDecimal().flatMap({ Int(exactly: $0) }), cursor.skip(" [") else { return nil }
      let isLost = cursor.skip("LOST ")
      let count = cursor.takeDecimal()
      cursor.skipBlanks()
      guard cursor.skip(isLost ? "EVENTS]" : "EVENTS DROPPED]") else { return nil }
      self.init(cpu: cpu, count: count)
    } else if let start = line.firstIndex(of: "entries-in-buffer/entries-written: ") {
      var cursor = TextCursor(line)
      cursor.move(to: start)
      guard cursor.skip(upTo: UInt8(ascii: " ")), cursor.skip(" "), let kept = cursor.takeDecimal(), cursor.skip("/"),
        let written = cursor.takeDecimal(), written > kept
      else { return nil }
      self.init(cpu: nil, count: written - kept)
    } else if let start = line.firstIndex(of: "PERF_RECORD_LOST") {
      var cursor = TextCursor(line)
      cursor.move(to: start)
      _ = cursor.takeWord()
      cursor.skipBlanks()
      guard cursor.skip("lost ") else { return nil }
      self.init(cpu: nil, count: cursor.takeDecimal())
    } else {
      return nil
    }
  }
}

extension Span where Element == UInt8 {
  /// The line without the marks that mail and Markdown put before a quotation, blanks, and a carriage return.
  fileprivate var withoutQuoting: Span<UInt8> {
    @_lifetime(copy self)
    get {
      var line = self.trimmed
      while line.count > 0, line[0] == UInt8(ascii: ">") || line[0] == UInt8(ascii: "|") {
        line = line.extracting(1..<line.count).trimmed
      }
      return line
    }
  }

  /// Whether blanks stand before the line's text, behind marks of quotation and the blank that follows each.
  fileprivate var isIndented: Bool {
    var start = 0
    while start < count, self[start] == UInt8(ascii: ">") || self[start] == UInt8(ascii: "|") {
      start += 1
      if start < count, self[start] == UInt8(ascii: " ") { start += 1 }
    }
    return start < count && self[start].isBlank
  }

  /// Whether this is a line that tracers print around events.
  fileprivate var isTraceHeading: Bool {
    isEmpty || self[0] == UInt8(ascii: "#") || firstIndex(of: "cpus=") != nil || hasPrefix("version = ")
  }
}
