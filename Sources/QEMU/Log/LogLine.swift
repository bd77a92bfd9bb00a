import Glibc

/// One line of a log, without its end, its trailing blanks and the marks that mail puts before quoted text.
struct LogLine {
  /// Counted from 1.
  var number: Int
  var bytes: ArraySlice<UInt8>

  /// The lines of `text`, ended by LF, CR LF or CR; VT ends one, too, that is counted with the next.
  ///
  /// - Parameter others: Lines that are left out, counted from 1 by LF alone.
  static func lines(of text: [UInt8], leavingOut others: Set<Int> = []) -> LogLines {
    LogLines(text: text, leavingOut: others)
  }

  var string: String { String(decoding: bytes, as: UTF8.self) }
}

/// A lazy sequence of a text's lines. What mail and web pages made of them is undone; the lines of a quoted-printable text are joined where
/// it broke them.
struct LogLines: Sequence, IteratorProtocol {
  private let text: [UInt8]
  private let isQuotedPrintable: Bool
  private let others: Set<Int>
  private var position = 0
  private var number = 0
  private var isBehindSoftBreak = false
  /// How many ends of lines there were by LF alone.
  private var feeds = 0
  /// The lines that a line was made of, but for the first.
  private var following: ArraySlice<LogLine> = []

  /// How many lines may be joined to one.
  private static let mostJoined = 64

  init(text: [UInt8], leavingOut others: Set<Int>) {
    self.text = text
    self.others = others
    isQuotedPrintable = TransferEncoding.isQuotedPrintable(text)
  }

  mutating func next() -> LogLine? {
    if let line = following.popFirst() { return line }
    guard let first = nextOfText() else { return nil }
    let start = number
    let line = LogLine(number: start, bytes: Self.content(isQuotedPrintable ? joined(first) : first))
    guard let lines = JoinedLines.parts(of: line) else { return line }
    following = lines.dropFirst()
    return lines.first
  }

  private mutating func nextOfText() -> ArraySlice<UInt8>? {
    while position < text.endIndex {
      let isLeftOut = others.contains(feeds + 1)
      let line = takeLine()
      if !isLeftOut { return line }
    }
    return nil
  }

  private mutating func takeLine() -> ArraySlice<UInt8> {
    let start = position
    while position < text.endIndex, !Byte.endsLine(text[position]) { position += 1 }
    let end = position
    number += isBehindSoftBreak ? 0 : 1
    isBehindSoftBreak = false
    if position < text.endIndex, text[position] == Byte.verticalTab {
      isBehindSoftBreak = true
      position += 1
    } else if position < text.endIndex {
      let endsInPair =
        text[position] == Byte.carriageReturn && position + 1 < text.endIndex && text[position + 1] == Byte.lineFeed
      if endsInPair || text[position] == Byte.lineFeed { feeds += 1 }
      position += endsInPair ? 2 : 1
    }
    return text[start..<end]
  }

  /// A line with those that it goes on in.
  private mutating func joined(_ first: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var whole = TransferEncoding.decodingQuotedPrintable(first)
    var last = first
    var count = 1
    while TransferEncoding.endsSoftly(last), count < Self.mostJoined, let next = nextOfText() {
      whole += TransferEncoding.decodingQuotedPrintable(next)
      last = next
      count += 1
    }
    return whole
  }

  private static func content(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var line = TransferEncoding.decodingReferences(TransferEncoding.withoutBreak(line))
    while let last = line.last, Byte.isBlank(last) { line.removeLast() }
    while let first = line.first, Byte.isBlank(first) || first == Byte.greater || first == Byte.bar {
      line.removeFirst()
    }
    return line
  }
}

/// The bytes that the line formats are made of.
enum Byte {
  static let lineFeed = UInt8(ascii: "\n")
  static let carriageReturn = UInt8(ascii: "\r")
  static let verticalTab: UInt8 = 0x0B
  static let greater = UInt8(ascii: ">")
  static let less = UInt8(ascii: "<")
  static let bar = UInt8(ascii: "|")
  static let equals = UInt8(ascii: "=")
  static let question = UInt8(ascii: "?")
  static let backslash = UInt8(ascii: "\\")

  static func endsLine(_ byte: UInt8) -> Bool {
    byte == lineFeed || byte == carriageReturn || byte == Byte.verticalTab
  }

  static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

  static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// The value of a hexadecimal digit of either case.
  static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// Whether a byte can be part of a word, so that a name right after it is only the end of a longer name.
  static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
      true
    default: false
    }
  }
}

/// Reads a line from left to right. What does not fit is left unread.
struct LineScanner {
  private(set) var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func skipBlanks() {
    while let first = rest.first, Byte.isBlank(first) { rest.removeFirst() }
  }

  /// Reads `text` where it comes next.
  mutating func skip(_ text: StaticString) -> Bool {
    guard starts(with: text) else { return false }
    rest.removeFirst(text.utf8CodeUnitCount)
    return true
  }

  /// Reads up to and with the first `text`; false, reading nothing, where there is none.
  mutating func skip(past text: StaticString) -> Bool {
    guard let start = offset(of: text) else { return false }
    rest.removeFirst(start + text.utf8CodeUnitCount)
    return true
  }

  /// How many bytes come before the first `text`, which is not empty. Each line of a log is searched for dozens of words.
  private func offset(of text: StaticString) -> Int? {
    // Both buffers live as long as their closures, and the guards keep memchr and memcmp within them.
    text.withUTF8Buffer { word -> Int? in
      unsafe rest.withUnsafeBytes { line -> Int? in
        guard let base = line.baseAddress, let wanted = word.baseAddress else { return nil }
        var start = 0
        while line.count - start >= word.count,
          let found = unsafe memchr(base + start, CInt(wanted.pointee), line.count - word.count + 1 - start)
        {
          start = unsafe UnsafeRawPointer(found) - base
          if unsafe memcmp(base + start, wanted, word.count) == 0 { return start }
          start += 1
        }
        return nil
      }
    }
  }

  mutating func skipByte() { if !rest.isEmpty { rest.removeFirst() } }

  /// A hexadecimal number of 1 to 16 digits and how many digits it had.
  mutating func hex() -> (value: UInt64, digits: Int)? {
    var value: UInt64 = 0
    var digits = 0
    var remaining = rest
    while let first = remaining.first, let digit = Byte.hexDigit(first) {
      guard digits < 16 else { return nil }
      value = value << 4 | UInt64(digit)
      digits += 1
      remaining.removeFirst()
    }
    guard digits > 0 else { return nil }
    rest = remaining
    return (value, digits)
  }

  /// A hexadecimal number after `0x`, or without it.
  mutating func prefixedHex() -> UInt64? {
    var copy = self
    _ = copy.skip("0x")
    guard let number = copy.hex() else { return nil }
    self = copy
    return number.value
  }

  /// A decimal number without sign that fits an Int.
  mutating func decimal() -> Int? {
    var value = 0
    var remaining = rest
    var hasDigits = false
    while let first = remaining.first, Byte.isDigit(first) {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow2) = tens.addingReportingOverflow(Int(first - UInt8(ascii: "0")))
      if overflow || overflow2 { return nil }
      value = sum
      hasDigits = true
      remaining.removeFirst()
    }
    guard hasDigits else { return nil }
    rest = remaining
    return value
  }

  /// The bytes up to `end` or the end of the line; `end` itself is read and left out.
  mutating func text(until end: UInt8? = nil) -> String {
    let stop = end.flatMap { rest.firstIndex(of: $0) } ?? rest.endIndex
    let text = String(decoding: rest[..<stop], as: UTF8.self)
    rest = stop < rest.endIndex ? rest[(stop + 1)...] : rest[stop...]
    return text
  }

  private func starts(with text: StaticString) -> Bool {
    guard rest.count >= text.utf8CodeUnitCount else { return false }
    return text.withUTF8Buffer { unsafe rest.starts(with: $0) }
  }
}
