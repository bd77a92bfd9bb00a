/// A text as people have it, made into the plain lines that a program printed.
///
/// PowerShell writes what it redirects in UTF-16; terminals, and whoever keeps their output, put control sequences between the words; an
/// answer of a web service has the text as one string, and a page has it in marks.
public enum PlainText {
  /// Ends a line that has no end of its own in the file, so that what counts lines by LF still counts as the file does.
  public static let softBreak: UInt8 = 0x0B

  /// The text as plain lines in UTF-8; nil where it is that already.
  public static func lines(of bytes: Span<UInt8>) -> [UInt8]? {
    let signs = Signs(bytes)
    var text: [UInt8]?
    if let form = UTF16Form(bytes, zeroes: signs.zeroes) { text = form.utf8(bytes) }
    // In UTF-16 the signs of what else there is stand apart.
    let others = text.map { Signs($0.span) } ?? signs
    if others.isEscaped { text = EscapedText.undone(text ?? copy(of: bytes)) }
    if others.hasControls || others.isEscaped { text = TerminalText.undone(text ?? copy(of: bytes)) }
    if others.isMarkup { text = MarkupText.undone(text ?? copy(of: bytes)) }
    return text
  }

  private static func copy(of bytes: Span<UInt8>) -> [UInt8] { bytes.indices.map { bytes[$0] } }

  /// What a text shows of how it was kept, met in one pass.
  private struct Signs {
    var zeroes = 0
    var hasControls = false
    /// `\n` as two characters.
    private var escapedBreaks = 0
    private var breaks = 0
    private var tags = 0

    /// Fewer are a program's own.
    private static let fewestBreaks = 8
    private static let fewestTags = 2

    /// Whether the lines' ends are written as in a string of C or JSON.
    var isEscaped: Bool { escapedBreaks >= Self.fewestBreaks && escapedBreaks > breaks }

    var isMarkup: Bool { tags >= Self.fewestTags }

    init(_ bytes: Span<UInt8>) {
      var last: UInt8 = 0
      for index in bytes.indices {
        let byte = bytes[index]
        switch byte {
        case 0: zeroes += 1
        case 0x08, 0x1B: hasControls = true
        case 0x0A: breaks += 1
        case UInt8(ascii: "n") where last == UInt8(ascii: "\\"): escapedBreaks += 1
        case UInt8(ascii: "[") where last == UInt8(ascii: "[") || last == UInt8(ascii: "3"):
          if TerminalText.isWrittenEscape(bytes, before: index) { hasControls = true }
        // `</span>`, `<br>`; no byte of code is written so.
        case UInt8(ascii: "/") where last == UInt8(ascii: "<"): tags += 1
        case UInt8(ascii: "b")
        where last == UInt8(ascii: "<") && index + 1 < bytes.count && bytes[index + 1] | 0x20 == UInt8(ascii: "r"):
          tags += 1
        default: break
        }
        last = byte
      }
    }
  }
}

/// How a text in UTF-16 is told and read.
private enum UTF16Form {
  case littleEndian
  case bigEndian
  /// Without a mark in front, perhaps in parts only, as where PowerShell appends to another's file.
  case unmarked

  init?(_ bytes: Span<UInt8>, zeroes: Int) {
    guard bytes.count >= 2 else { return nil }
    switch (bytes[0], bytes[1]) {
    case (0xFF, 0xFE): self = .littleEndian
    case (0xFE, 0xFF): self = .bigEndian
    default:
      // Every other byte of ASCII in UTF-16 is zero; what else a binary file has is no text.
      guard zeroes * 8 >= bytes.count, zeroes * 5 <= bytes.count * 3, Self.isTextBesideZeroes(bytes) else { return nil }
      self = .unmarked
    }
  }

  private static func isTextBesideZeroes(_ bytes: Span<UInt8>) -> Bool {
    for index in bytes.indices {
      switch bytes[index] {
      case 0, 0x07...0x0D, 0x1B, 0x20...0x7E, 0x80...0xFF: continue
      default: return false
      }
    }
    return true
  }

  func utf8(_ bytes: Span<UInt8>) -> [UInt8] {
    guard self != .unmarked else { return bytes.indices.map { bytes[$0] }.filter { $0 != 0 } }
    var units: [UInt16] = []
    units.reserveCapacity(bytes.count / 2)
    for index in stride(from: 2, to: bytes.count - 1, by: 2) {
      let (first, second) = (UInt16(bytes[index]), UInt16(bytes[index + 1]))
      units.append(self == .littleEndian ? second << 8 | first : first << 8 | second)
    }
    return Array(String(decoding: units, as: UTF16.self).utf8)
  }
}
