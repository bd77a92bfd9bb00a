/// A text that is written as a string of JSON, C or Python: an answer of a web service, an array of bytes that was printed.
enum EscapedText {
  static func undone(_ text: [UInt8]) -> [UInt8] {
    var plain: [UInt8] = []
    plain.reserveCapacity(text.count)
    var position = 0
    while position < text.count {
      guard text[position] == backslash else {
        plain.append(text[position])
        position += 1
        continue
      }
      // A string inside a string has them twice.
      let start = position
      while position < text.count, text[position] == backslash { position += 1 }
      guard let meaning = meaning(text[position...]) else {
        plain += text[start..<position]
        continue
      }
      if let byte = meaning.byte { plain.append(byte) }
      position += meaning.length
    }
    return plain
  }

  /// What follows a backslash stands for, and how long it is; nil for what is none of these.
  private static func meaning(_ rest: ArraySlice<UInt8>) -> (byte: UInt8?, length: Int)? {
    switch rest.first {
    case UInt8(ascii: "n"): return (PlainText.softBreak, 1)
    case UInt8(ascii: "r"): return (nil, 1)
    case UInt8(ascii: "t"): return (UInt8(ascii: " "), 1)
    case UInt8(ascii: "\""): return (UInt8(ascii: "\""), 1)
    case UInt8(ascii: "'"): return (UInt8(ascii: "'"), 1)
    default:
      let escape = escapes.first { rest.starts(with: $0) }
      return escape.map { (0x1B, $0.count) }
    }
  }

  private static let backslash = UInt8(ascii: "\\")
  private static let escapes = ["u001b", "u001B", "x1b", "x1B", "033"].map { Array($0.utf8) }
}
