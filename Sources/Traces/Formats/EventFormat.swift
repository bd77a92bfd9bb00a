/// The layout of one tracepoint's records: the content of `/sys/kernel/tracing/events/SYSTEM/NAME/format`, which
/// trace.dat and perf.data carry along.
///
/// The layout is never to be guessed from a kernel's version: stable kernels take over changes of layout.
public struct EventFormat: Hashable, Sendable {
  /// The directory the event is in, such as `kvm`; the text itself does not say it.
  public let system: String
  public let name: String
  /// The number in the first field of every record of this event, `common_type`.
  public let id: UInt16
  public let machine: RecordingMachine
  /// The fields that all events of the recording begin with.
  public let commonFields: [EventField]
  /// The event's own fields.
  public let fields: [EventField]
  /// The C expressions after `print fmt:`, with which the kernel prints the event.
  public let printFormat: String

  /// The field of this name, common or the event's own.
  ///
  /// Compares names one by one: look a field up once, not for every record.
  public func field(_ name: String) -> EventField? {
    fields.first { $0.name == name } ?? commonFields.first { $0.name == name }
  }

  /// The place of the integer field of this name; nil if there is none or it holds no single integer.
  public func location(of name: String) -> FieldLocation? {
    guard let field = field(name), field.kind == .scalar else { return nil }
    return field.location
  }

  /// The number of bytes from the start of a record to the end of its last fixed field.
  public var minimumRecordSize: Int {
    (commonFields + fields).map { $0.offset + $0.size }.max() ?? 0
  }
}

/// Why a `format` text cannot be read.
public struct EventFormatError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Problem: Hashable, Sendable {
    /// The text ends before a line of this kind (`name:`, `ID:`, `format:`).
    case missing(String)
    /// The event's number is none, or does not fit in 16 bits.
    case badIdentifier
    /// The declaration of a field has no name, or an offset or size that is none.
    case badField
    /// The offset or the size of a field is larger than any record.
    case fieldTooLarge
  }

  public var problem: Problem
  /// From 1.
  public var line: Int
  /// Of the line's first byte in the text.
  public var offset: Int

  public var description: String {
    let what =
      switch problem {
      case .missing(let label): "the line '\(label)' is missing"
      case .badIdentifier: "the event's ID is not a number of 16 bits"
      case .badField: "a field's declaration lacks a name, an offset or a size"
      case .fieldTooLarge: "a field lies beyond the largest possible record"
      }
    return "event format, line \(line) (byte \(offset)): \(what)"
  }
}

extension EventFormat {
  /// Reads a `format` text.
  ///
  /// - Parameters:
  ///   - text: the whole content of the file.
  ///   - system: the directory the event is in.
  ///   - machine: the machine whose kernel wrote the records.
  public init(
    parsing text: Span<UInt8>, system: String, machine: RecordingMachine
  ) throws(EventFormatError) {
    var lines = FormatLines(text)
    self.system = system
    self.machine = machine
    name = try lines.value(after: "name:")
    let identifier = try lines.value(after: "ID:")
    guard let id = UInt16(identifier) else { throw lines.error(.badIdentifier) }
    self.id = id
    guard try lines.value(after: "format:").isEmpty else { throw lines.error(.missing("format:")) }

    var groups: [[EventField]] = [[]]
    var printFormat = ""
    while let line = lines.next() {
      if line.isEmpty {
        // An empty line ends the common fields, and another the event's own (kernel/trace/trace_events.c: f_show).
        if groups.count == 1, groups[0].isEmpty == false { groups.append([]) }
      } else if line.hasPrefix("print fmt:") {
        printFormat = lines.textFrom(line, skipping: "print fmt:")
        break
      } else if line.hasPrefix("field") {
        groups[groups.count - 1].append(try lines.field(line, machine))
      }
    }
    self.printFormat = printFormat
    commonFields = groups[0]
    fields = groups.count > 1 ? groups[1] : []
  }

  /// Reads a `format` text.
  public init(parsing text: String, system: String, machine: RecordingMachine) throws(EventFormatError) {
    let utf8 = text.utf8
    try self.init(parsing: utf8.span, system: system, machine: machine)
  }
}

/// The lines of a `format` text, and where the reader stands in them.
private struct FormatLines: ~Escapable {
  private var cursor: TextCursor
  private var line = 0
  private var lineOffset = 0

  @_lifetime(copy text)
  init(_ text: Span<UInt8>) { cursor = TextCursor(text) }

  func error(_ problem: EventFormatError.Problem) -> EventFormatError {
    EventFormatError(problem: problem, line: max(line, 1), offset: lineOffset)
  }

  /// The next line, without what surrounds it.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  mutating func next() -> Span<UInt8>? {
    guard !cursor.isAtEnd else { return nil }
    let text = cursor.text
    let start = cursor.offset
    let end = text.firstIndex(of: UInt8(ascii: "\n"), from: start) ?? text.count
    cursor.move(to: end + 1)
    line += 1
    lineOffset = start
    return text.extracting(start..<end).trimmed
  }

  /// What follows the label on the next line that is not empty.
  @_lifetime(self: copy self)
  mutating func value(after label: String) throws(EventFormatError) -> String {
    while let line = next() {
      if line.isEmpty { continue }
      guard line.hasPrefix(label) else { throw error(.missing(label)) }
      return line.extracting(label.utf8.count..<line.count).trimmed.string
    }
    throw error(.missing(label))
  }

  /// The text from this line to the end: a print format may contain line breaks inside its literals.
  func textFrom(_ firstLine: Span<UInt8>, skipping label: String) -> String {
    let text = cursor.text.extracting(lineOffset..<cursor.text.count)
    guard let start = text.firstIndex(of: label) else { return "" }
    var end = text.count
    while end > start, text[end - 1] == UInt8(ascii: "\n") { end -= 1 }
    return text.extracting((start + label.utf8.count)..<max(end, start + label.utf8.count)).trimmed.string
  }

  /// `field:TYPE NAME[N];<TAB>offset:8;<TAB>size:4;<TAB>signed:0;`, and `field special:` of old kernels.
  func field(_ line: Span<UInt8>, _ machine: RecordingMachine) throws(EventFormatError) -> EventField {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
      let end = line.firstIndex(of: UInt8(ascii: ";"), from: colon),
      let declaration = FieldDeclaration(line.extracting((colon + 1)..<end)),
      let offset = number("offset:", in: line, from: end), let size = number("size:", in: line, from: end)
    else { throw error(.badField) }
    // A record's own length is at most 16 bits in perf.data and a sub-buffer of ftrace is at most 64 KiB
    // (include/linux/ring_buffer.h, Linux 6.8).
    guard offset <= 0xffff, size <= 0xffff - offset else { throw error(.fieldTooLarge) }
    // Kernels before 2.6.33 do not say `signed:`; then an integer is taken as unsigned.
    let isSigned = number("signed:", in: line, from: end) == 1
    let location = FieldLocation(
      offset: Int(offset), size: Int(size), isSigned: isSigned, byteOrder: machine.byteOrder)
    return EventField(
      name: declaration.name, type: declaration.type,
      kind: declaration.kind(size: Int(size), longSize: machine.longSize), location: location)
  }

  private func number(_ label: String, in line: Span<UInt8>, from start: Int) -> UInt64? {
    guard let found = line.firstIndex(of: label, from: start) else { return nil }
    var cursor = TextCursor(line)
    cursor.move(to: found + label.utf8.count)
    return cursor.takeDecimal()
  }
}

/// `TYPE NAME`, `TYPE NAME[N]` or `__data_loc TYPE[] NAME`.
private struct FieldDeclaration {
  let name: String
  let type: String
  /// The number in the brackets after the name; nil where it is none; absent brackets make `isArray` false.
  private let arrayCount: Int?
  private let isArray: Bool
  private let isDataLocation: Bool
  private let isRelativeLocation: Bool

  init?(_ declaration: Span<UInt8>) {
    let text = declaration.trimmed
    let bracket = text.firstIndex(of: UInt8(ascii: "["))
    isDataLocation = text.hasPrefix("__data_loc ")
    isRelativeLocation = text.hasPrefix("__rel_loc ")
    // Located data carry their brackets on the type, arrays on the name.
    isArray = bracket != nil && !isDataLocation && !isRelativeLocation
    let nameEnd = isArray ? bracket ?? text.count : text.count
    var end = nameEnd
    while end > 0, text[end - 1].isBlank { end -= 1 }
    var start = end
    while start > 0, text[start - 1].isIdentifierByte { start -= 1 }
    guard start < end else { return nil }
    name = text.extracting(start..<end).string
    let words = text.extracting(0..<start).trimmed.string
    type = isArray ? words + text.extracting(nameEnd..<text.count).string : words

    guard isArray else {
      arrayCount = nil
      return
    }
    var cursor = TextCursor(text)
    cursor.move(to: nameEnd + 1)
    var count = cursor.takeDecimal()
    if !cursor.skip(UInt8(ascii: "]")) || !cursor.isAtEnd { count = nil }
    arrayCount = count.flatMap { Int(exactly: $0) }
  }

  func kind(size: Int, longSize: Int) -> EventField.Kind {
    let elementSize = namedElementSize(longSize: longSize)
    if isDataLocation { return .dataLocation(elementSize: elementSize) }
    if isRelativeLocation { return .relativeLocation(elementSize: elementSize) }
    guard isArray else { return .scalar }
    if let arrayCount, arrayCount > 0, arrayCount <= size, size % arrayCount == 0 {
      return .array(elementSize: size / arrayCount, count: arrayCount)
    }
    if size == 0 { return .trailing(elementSize: elementSize) }
    return size % elementSize == 0
      ? .array(elementSize: elementSize, count: size / elementSize) : .array(elementSize: 1, count: size)
  }

  /// The size that the type's words imply; 1 for a type this does not know.
  private func namedElementSize(longSize: Int) -> Int {
    var words = type
    if let bracket = words.firstIndex(of: "[") { words = String(words[..<bracket]) }
    if words.contains("*") || words.hasSuffix("long") || words.hasSuffix("size_t") {
      return words.hasSuffix("long long") ? 8 : longSize
    }
    if words.hasSuffix("64") || words.hasSuffix("64_t") || words.hasSuffix("dma_addr_t") { return 8 }
    if words.hasSuffix("32") || words.hasSuffix("32_t") || words.hasSuffix("int") || words.hasSuffix("unsigned") {
      return 4
    }
    if words.hasSuffix("16") || words.hasSuffix("16_t") || words.hasSuffix("short") { return 2 }
    return 1
  }
}
