import Files

/// Prints the items of a binary trace as text, one a line.
///
/// A printer keeps what it found out about each event and each name, so that a line costs little. Each thread that
/// prints needs its own.
public struct TracePrinter: ~Copyable {
  /// How the lines look.
  public enum Layout: Sendable {
    /// As `trace-cmd report -N` prints them (tracecmd/trace-read.c: trace_show_data, 3.1.6).
    case traceCmd
    /// As `perf script` does (builtin-script.c, Linux 6.1).
    case perfScript
    /// A JSON object.
    case json
  }

  private let context: TraceContext
  private let layout: Layout
  private let symbols: PrintSymbols
  /// For each event what is needed to print it; nil for one that was not met yet.
  private var events: [EventLine?]
  /// The pieces that lines begin with: events' and threads' names as they are printed. In one place, so that using
  /// them costs no counting of references.
  private var pieces: [UInt8] = []
  private var names: [TaskName: Piece] = [:]
  private var lastName: (name: TaskName, piece: Piece) = (.unknown, Piece())
  private let eventColumn: Int
  private let timesAreNanoseconds: Bool
  /// The width of the column with the buffers' names; 0 if there is only one.
  private let bufferColumn: Int

  /// A part of `pieces`.
  private struct Piece {
    var offset = 0
    var count = 0
  }

  private struct Origin {
    var threadID: Int32 = 0
    /// No CPU has this number.
    var cpu = -1
    var name = TaskName.unknown
    var count = 0
  }

  private static let originCount = 64
  private static let longestOrigin = 64

  /// The threads and CPUs whose text is in `originTexts`, each in its slot.
  private var origins = [Origin](repeating: Origin(), count: Self.originCount)
  private var originTexts = [UInt8](repeating: 0, count: Self.originCount * Self.longestOrigin)
  /// The seconds printed last, and their text.
  private var secondsPlace: Int?
  private var lastSeconds: (seconds: UInt64, piece: Piece) = (.max, Piece())

  /// A class, so that using one costs no copies of what it holds.
  private final class EventLine {
    /// What stands between the time and the event's text.
    let head: Piece
    let format: EventFormat?
    let print: PrintFormat?
    /// Why the text is that of the fields.
    let problem: String?

    init(head: Piece, format: EventFormat?, print: PrintFormat?, problem: String?) {
      self.head = head
      self.format = format
      self.print = print
      self.problem = problem
    }
  }

  public init(_ context: TraceContext, layout: Layout? = nil) {
    self.context = context
    self.layout = layout ?? (context.kind == .perfData ? .perfScript : .traceCmd)
    let kernelSymbols = context.symbols
    let texts = PrintkTexts(context.printkFormats)
    symbols = PrintSymbols(symbol: { kernelSymbols.symbol(at: $0) }, text: { texts.text(at: $0) })
    events = [EventLine?](repeating: nil, count: context.events.count)
    timesAreNanoseconds = context.timesAreNanoseconds
    bufferColumn = context.buffers.count > 1 ? context.buffers.lazy.map(\.name.utf8.count).max() ?? 0 : 0
    eventColumn = context.events.lazy.map { $0.system.utf8.count + $0.name.utf8.count + 1 }.max() ?? 0
  }

  /// What comes before the first line; empty for most layouts.
  public var heading: String {
    guard layout == .traceCmd, let buffer = context.buffers.first else { return "" }
    return "cpus=\(buffer.cpuCount)\n"
  }

  /// Appends the lines of a batch.
  public mutating func append(_ batch: borrowing EventBatch, to text: inout TextBuffer) {
    batch.forEach { item in append(item, to: &text) }
  }

  /// Appends the line of an item.
  public mutating func append(_ item: borrowing TraceItem, to text: inout TextBuffer) {
    switch item {
    case .event(let event): append(event, to: &text)
    case .lost(let lost, let buffer, let time): append(lost, buffer, time, to: &text)
    case .damage(let damage): append(damage, to: &text)
    }
  }

  // MARK: Events

  private mutating func append(_ event: borrowing TraceEvent, to text: inout TextBuffer) {
    switch layout {
    case .traceCmd: appendTraceCmd(event, to: &text)
    case .perfScript: appendPerfScript(event, to: &text)
    case .json: appendJSON(event, to: &text)
    }
  }

  private mutating func appendTraceCmd(_ event: borrowing TraceEvent, to text: inout TextBuffer) {
    if bufferColumn > 0 { appendBuffer(event.buffer, to: &text) }
    appendOrigin(event, separator: UInt8(ascii: "-"), to: &text)
    if timesAreNanoseconds {
      // Rounded (libtraceevent 1.7, event-parse.c: print_event_time).
      appendSeconds((event.time &+ 500) / 1000, to: &text)
    } else {
      text.appendDecimal(event.time, width: 12, padding: UInt8(ascii: " "))
    }
    text.append(UInt8(ascii: ":"))
    appendText(event, to: &text)
    text.append(UInt8(ascii: "\n"))
  }

  private mutating func appendPerfScript(_ event: borrowing TraceEvent, to text: inout TextBuffer) {
    appendOrigin(event, separator: UInt8(ascii: " "), to: &text)
    appendSeconds(event.time / 1000, to: &text)
    text.append(UInt8(ascii: ":"))
    appendText(event, to: &text)
    text.append(UInt8(ascii: "\n"))
  }

  /// The thread and the CPU. Most events come from a few threads that stay where they are, so the text is kept.
  @inline(__always)
  private mutating func appendOrigin(_ event: borrowing TraceEvent, separator: UInt8, to text: inout TextBuffer) {
    let slot =
      Int(truncatingIfNeeded: event.threadID ^ Int32(truncatingIfNeeded: event.cpu &* 7)) & (Self.originCount - 1)
    let origin = origins[slot]
    if origin.threadID == event.threadID, origin.cpu == event.cpu, origin.name == event.taskName {
      text.append(originTexts.span, slot &* Self.longestOrigin, origin.count)
      return
    }
    let start = text.count
    appendName(event, width: 16, to: &text)
    text.append(separator)
    let idStart = text.count
    text.appendDecimal(Int64(event.threadID))
    text.append(repeating: UInt8(ascii: " "), count: 5 - (text.count - idStart))
    appendCPU(event.cpu, to: &text)
    text.append(UInt8(ascii: " "))
    let count = text.count - start
    guard count <= Self.longestOrigin else { return }
    for index in 0..<count { originTexts[slot * Self.longestOrigin + index] = text.bytes[start + index] }
    origins[slot] = Origin(threadID: event.threadID, cpu: event.cpu, name: event.taskName, count: count)
  }

  @inline(__always)
  private func appendCPU(_ cpu: Int, to text: inout TextBuffer) {
    text.append(UInt8(ascii: " "))
    text.append(UInt8(ascii: "["))
    if cpu >= 0, cpu < 1000 {
      text.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: cpu / 100))
      text.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: cpu / 10 % 10))
      text.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: cpu % 10))
    } else {
      text.appendDecimal(Int64(cpu))
    }
    text.append(UInt8(ascii: "]"))
  }

  /// Microseconds as seconds with six places, at least 12 bytes wide.
  @inline(__always)
  private mutating func appendSeconds(_ microseconds: UInt64, to text: inout TextBuffer) {
    let seconds = microseconds / 1_000_000
    if seconds != lastSeconds.seconds { lastSeconds = (seconds, secondsPiece(seconds)) }
    append(lastSeconds.piece, to: &text)
    let places = UInt32(truncatingIfNeeded: microseconds &- seconds &* 1_000_000)
    // Divisors that are constants, so that no division is done.
    Self.appendTwoDigits(places / 10_000, to: &text)
    Self.appendTwoDigits(places / 100 % 100, to: &text)
    Self.appendTwoDigits(places % 100, to: &text)
  }

  /// The seconds with their point. They change seldom; a damaged file may have any, so their text takes a fixed place.
  private mutating func secondsPiece(_ seconds: UInt64) -> Piece {
    let digits = String(seconds)
    let text = Array((String(repeating: " ", count: max(0, 5 - digits.utf8.count)) + digits + ".").utf8)
    if secondsPlace == nil { secondsPlace = makePiece("", width: 24).offset }
    guard let place = secondsPlace else { return Piece() }
    pieces.replaceSubrange(place..<(place + text.count), with: text)
    return Piece(offset: place, count: text.count)
  }

  @inline(__always)
  private static func appendTwoDigits(_ value: UInt32, to text: inout TextBuffer) {
    let value = UInt8(truncatingIfNeeded: value)
    text.append(UInt8(ascii: "0") &+ value / 10)
    text.append(UInt8(ascii: "0") &+ value % 10)
  }

  /// trace-cmd puts the names of several buffers in a column before the line.
  private func appendBuffer(_ buffer: Int, to text: inout TextBuffer) {
    guard bufferColumn > 0 else { return }
    let name = buffer < context.buffers.count ? context.buffers[buffer].name : ""
    text.append(repeating: UInt8(ascii: " "), count: bufferColumn - name.utf8.count)
    text.append(name.isEmpty ? "  " : name + ": ")
  }

  @inline(__always)
  private mutating func append(_ piece: Piece, to text: inout TextBuffer) {
    text.append(pieces.span, piece.offset, piece.count)
  }

  private mutating func makePiece(_ text: String, width: Int = 0) -> Piece {
    let bytes = Array(text.utf8)
    let offset = pieces.count
    pieces += [UInt8](repeating: UInt8(ascii: " "), count: max(0, width - bytes.count)) + bytes
    return Piece(offset: offset, count: pieces.count - offset)
  }

  /// A thread's name, right-aligned.
  @inline(__always)
  private mutating func appendName(_ event: borrowing TraceEvent, width: Int, to text: inout TextBuffer) {
    if event.taskName != lastName.name || event.taskName == .unknown {
      guard event.taskName != .unknown else {
        let placeholder = placeholder(event.threadID)
        text.append(repeating: UInt8(ascii: " "), count: width - placeholder.utf8.count)
        text.append(placeholder)
        return
      }
      lastName = (event.taskName, piece(of: event.taskName, width))
    }
    append(lastName.piece, to: &text)
  }

  private mutating func piece(of name: TaskName, _ width: Int) -> Piece {
    if let known = names[name] { return known }
    let piece = makePiece(context.taskNames.text(of: name) ?? "", width: width)
    names[name] = piece
    return piece
  }

  /// What the tools show for a thread whose name is not known.
  private func placeholder(_ threadID: Int32) -> String {
    switch layout {
    case .traceCmd: threadID == 0 ? "<idle>" : "<...>"
    case .perfScript, .json: ":\(threadID)"
    }
  }

  /// The event's name and its text.
  @inline(__always)
  private mutating func appendText(_ event: borrowing TraceEvent, to text: inout TextBuffer) {
    guard let index = event.event else {
      let type = event.type(context.machine.byteOrder)
      text.append(" [UNKNOWN EVENT TYPE \(type.map(String.init) ?? "?"), \(event.payload.byteCount) bytes]")
      return
    }
    if events[index] == nil { events[index] = makeLine(index) }
    guard let line = events[index] else { return }
    append(line.head, to: &text)
    guard let print = line.print else {
      appendFallback(event, line, to: &text)
      return
    }
    let start = text.count
    if !print.render(event.payload, into: &text) {
      text.truncate(to: start)
      text.append("[record of \(event.payload.byteCount) bytes is too short for its format] ")
      line.format?.printFields(of: event.payload, into: &text)
    } else if text.count > start, text.bytes[text.count - 1] == UInt8(ascii: "\n") {
      text.truncate(to: text.count - 1)
    }
  }

  private func appendFallback(_ event: borrowing TraceEvent, _ line: EventLine, to text: inout TextBuffer) {
    guard let format = line.format else { return }
    text.append("[\(line.problem ?? "no print format")] ")
    format.printFields(of: event.payload, into: &text)
  }

  private mutating func makeLine(_ index: Int) -> EventLine {
    let event = context.events[index]
    var format: EventFormat?
    var print: PrintFormat?
    var problem: String?
    if !event.formatText.isEmpty {
      switch context.events.format(at: index) {
      case .success(let found):
        format = found
        do { print = try PrintFormat(found, symbols: symbols) } catch { problem = error.description }
      case .failure(let error):
        problem = error.description
      }
    }
    return EventLine(head: makePiece(head(event)), format: format, print: print, problem: problem)
  }

  private func head(_ event: RecordedEvent) -> String {
    switch layout {
    case .traceCmd:
      // The texts of short names begin in one column.
      let padding = String(repeating: " ", count: max(0, 20 - event.name.utf8.count))
      return " \(event.name): \(padding)"
    case .perfScript:
      let name = event.system.isEmpty ? event.name : "\(event.system):\(event.name)"
      let padding = String(repeating: " ", count: max(0, eventColumn - name.utf8.count))
      return " \(padding)\(name): "
    case .json:
      return "\"system\":\(JSONText.quoted(event.system)),\"event\":\(JSONText.quoted(event.name))"
    }
  }

  // MARK: JSON

  private mutating func appendJSON(_ event: borrowing TraceEvent, to text: inout TextBuffer) {
    text.append("{\"time\":")
    text.appendDecimal(event.time)
    text.append(",\"cpu\":")
    text.appendDecimal(Int64(event.cpu))
    text.append(",\"pid\":")
    text.appendDecimal(Int64(event.threadID))
    if let name = context.taskNames.text(of: event.taskName) {
      text.append(",\"task\":" + JSONText.quoted(name))
    }
    if context.buffers.count > 1, event.buffer < context.buffers.count {
      text.append(",\"buffer\":" + JSONText.quoted(context.buffers[event.buffer].name))
    }
    text.append(",")
    guard let index = event.event else {
      let type = event.type(context.machine.byteOrder).map { "\($0)" } ?? "null"
      text.append("\"type\":\(type),\"bytes\":\(event.payload.byteCount)}\n")
      return
    }
    if events[index] == nil { events[index] = makeLine(index) }
    guard let line = events[index] else { return }
    append(line.head, to: &text)
    if let format = line.format { appendFields(of: event, format, to: &text) }
    if let print = line.print {
      var own = TextBuffer(capacity: 256)
      print.render(event.payload, into: &own)
      text.append(",\"text\":" + JSONText.quoted(own.string))
    } else if let problem = line.problem {
      text.append(",\"problem\":" + JSONText.quoted(problem))
    }
    text.append("}\n")
  }

  private func appendFields(of event: borrowing TraceEvent, _ format: EventFormat, to text: inout TextBuffer) {
    text.append(",\"fields\":{")
    for (position, field) in format.fields.enumerated() {
      if position > 0 { text.append(",") }
      text.append(JSONText.quoted(field.name) + ":")
      if field.kind == .scalar, let value = field.integer(in: event.payload) {
        if field.isSigned { text.appendDecimal(Int64(bitPattern: value)) } else { text.appendDecimal(value) }
      } else if field.elementSize == 1, field.type.contains("char"), let string = field.string(in: event.payload) {
        text.append(JSONText.quoted(string))
      } else if let bytes = field.bytes(in: event.payload) {
        text.append("\"")
        for offset in 0..<bytes.byteCount { text.appendHexadecimal(UInt64(bytes.byte(at: offset)), width: 2) }
        text.append("\"")
      } else {
        text.append("null")
      }
    }
    text.append("}")
  }

  // MARK: Marks

  private func append(_ lost: LostEvents, _ buffer: Int, _ time: UInt64, to text: inout TextBuffer) {
    switch layout {
    case .traceCmd, .perfScript:
      if layout == .traceCmd { appendBuffer(buffer, to: &text) }
      let cpu = lost.cpu.map { "CPU:\($0) " } ?? ""
      text.append("\(cpu)[\(lost.count.map { "\($0) " } ?? "")EVENTS DROPPED]\n")
    case .json:
      text.append("{\"time\":\(time),\"lost\":\(lost.count.map { "\($0)" } ?? "null")")
      if let cpu = lost.cpu { text.append(",\"cpu\":\(cpu)") }
      text.append("}\n")
    }
  }

  private func append(_ damage: TraceDamage, to text: inout TextBuffer) {
    switch layout {
    case .traceCmd, .perfScript:
      text.append("[DAMAGED] \(damage)\n")
    case .json:
      text.append("{\"damage\":\(JSONText.quoted(damage.description)),\"offset\":\(damage.offset)}\n")
    }
  }
}

/// The texts that addresses in records stand for: tracefs `printk_formats`, lines `0xADDRESS : "text"`.
struct PrintkTexts: Sendable {
  private var texts: [UInt64: String] = [:]

  init(_ lines: [UInt8]) {
    var cursor = TextCursor(lines.span)
    while !cursor.isAtEnd {
      let address = cursor.takeHexadecimal()
      cursor.skipBlanks()
      let start = cursor.offset
      if !cursor.skip(upTo: UInt8(ascii: "\n")) { cursor.move(to: cursor.text.count) }
      let text = cursor.text.extracting(start..<cursor.offset).trimmed
      cursor.skipByte()
      guard let address, text.hasPrefix(": \""), text.hasSuffix("\""), text.count >= 4 else { continue }
      texts[address] = text.extracting(3..<(text.count - 1)).string
    }
  }

  func text(at address: UInt64) -> String? { texts[address] }
}

/// Strings of JSON (RFC 8259, section 7).
public enum JSONText {
  public static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case "\r": quoted += "\\r"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
