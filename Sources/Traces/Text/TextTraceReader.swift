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
public struct TextTraceReader: ~Escapable {
  private let text: Span<UInt8>
  private var offset = 0
  /// The lines read so far.
  public private(set) var lineCount = 0
  /// Of these, the lines that are neither events nor marks nor headings nor empty.
  public private(set) var unrecognizedLineCount = 0

  /// - Parameter text: the whole text, or a part of it that begins and ends anywhere.
  @_lifetime(copy text)
  public init(_ text: Span<UInt8>) { self.text = text }

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
      let start = offset
      let end = text.firstIndex(of: UInt8(ascii: "\n"), from: start) ?? text.count
      offset = end + 1
      lineCount += 1
      let line = text.extracting(start..<end).withoutQuoting
      if let (header, event) = TextTraceHeader.find(in: line, isFirst: start == 0) {
        return .event(TextTraceLine(line: line, number: lineCount, header: header, event: event))
      }
      if let lost = LostEvents(line: line) { return .lost(lost, line: lineCount) }
      if !line.isTraceHeading { unrecognizedLineCount += 1 }
    }
    return nil
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

  /// Whether this is a line that tracers print around events.
  fileprivate var isTraceHeading: Bool {
    isEmpty || self[0] == UInt8(ascii: "#") || firstIndex(of: "cpus=") != nil || hasPrefix("version = ")
  }
}
