/// A text with what steers a terminal (ECMA-48, 5th edition, 5.4 and 8.3): colours, moves of the cursor, titles.
enum TerminalText {
  private static let escape: UInt8 = 0x1B
  private static let backspace: UInt8 = 0x08
  private static let bell: UInt8 = 0x07

  static func undone(_ text: [UInt8]) -> [UInt8] {
    var plain: [UInt8] = []
    plain.reserveCapacity(text.count)
    var position = 0
    while position < text.count {
      let byte = text[position]
      if let length = lengthOfEscape(text, position) {
        position += length
        take(text, &position, &plain)
      } else if byte == backspace {
        if let last = plain.last, last >= 0x20 { plain.removeLast() }
        position += 1
      } else {
        plain.append(byte)
        position += 1
      }
    }
    return plain
  }

  /// Whether the `[` at an index stands behind an escape as programs write it that show control characters: `^[[`, as cat -v does, or
  /// `#033[`, as rsyslog does.
  static func isWrittenEscape(_ bytes: Span<UInt8>, before index: Int) -> Bool {
    for mark in writtenEscapes where index >= mark.count {
      if mark.indices.allSatisfy({ bytes[index - mark.count + $0] == mark[$0] }) { return true }
    }
    return false
  }

  private static let writtenEscapes = [Array("^[".utf8), Array("#033".utf8)]

  private static func lengthOfEscape(_ text: [UInt8], _ position: Int) -> Int? {
    if text[position] == escape { return 1 }
    guard [UInt8(ascii: "^"), UInt8(ascii: "#")].contains(text[position]) else { return nil }
    let rest = text[position...]
    return writtenEscapes.first { rest.starts(with: $0) && rest.dropFirst($0.count).first == UInt8(ascii: "[") }?.count
  }

  /// Passes over what belongs to an escape that was just read.
  private static func take(_ text: [UInt8], _ position: inout Int, _ plain: inout [UInt8]) {
    guard position < text.count else { return }
    switch text[position] {
    case UInt8(ascii: "["):
      position += 1
      takeControlSequence(text, &position, &plain)
    case UInt8(ascii: "]"), UInt8(ascii: "P"), UInt8(ascii: "X"), UInt8(ascii: "^"), UInt8(ascii: "_"):
      takeString(text, &position)
    case 0x20...0x2F:
      while position < text.count, (0x20...0x2F).contains(text[position]) { position += 1 }
      if position < text.count, (0x30...0x7E).contains(text[position]) { position += 1 }
    case 0x30...0x7E: position += 1
    default: break
    }
  }

  private static func takeControlSequence(_ text: [UInt8], _ position: inout Int, _ plain: inout [UInt8]) {
    while position < text.count, (0x20...0x3F).contains(text[position]) { position += 1 }
    guard position < text.count, (0x40...0x7E).contains(text[position]) else { return }
    switch text[position] {
    // To another line: CUP, HVP, VPA, CNL, CPL, ED.
    case UInt8(ascii: "H"), UInt8(ascii: "f"), UInt8(ascii: "d"), UInt8(ascii: "E"), UInt8(ascii: "F"),
      UInt8(ascii: "J"):
      plain.append(PlainText.softBreak)
    // On in the line: CUF, CHA. Consoles of Windows write blanks so.
    case UInt8(ascii: "C"), UInt8(ascii: "G"): plain.append(UInt8(ascii: " "))
    default: break
    }
    position += 1
  }

  /// A title or another string, up to BEL or ST, and at most to the line's end.
  private static func takeString(_ text: [UInt8], _ position: inout Int) {
    while position < text.count, text[position] != 0x0A, text[position] != 0x0D {
      position += 1
      if text[position - 1] == bell { return }
      if text[position - 1] == escape, position < text.count, text[position] == UInt8(ascii: "\\") {
        position += 1
        return
      }
    }
  }
}
