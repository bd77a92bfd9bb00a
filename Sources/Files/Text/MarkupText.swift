/// A text with the tags of HTML: a page's source, or what a mailer sent beside the text.
enum MarkupText {
  /// No longer tag is looked for.
  private static let longestTag = 512

  static func undone(_ text: [UInt8]) -> [UInt8] {
    var plain: [UInt8] = []
    plain.reserveCapacity(text.count)
    var position = 0
    while position < text.count {
      guard text[position] == UInt8(ascii: "<"), let tag = Tag(text[position...]) else {
        plain.append(text[position])
        position += 1
        continue
      }
      position += tag.length
      let next = position < text.count ? text[position] : 0x0A
      if tag.breaksLine, next != 0x0A, next != 0x0D { plain.append(PlainText.softBreak) }
    }
    return plain
  }

  private struct Tag {
    let length: Int
    let breaksLine: Bool

    /// Nil for what is no tag of a text's: the byte of code in `<0f>`, and anything with another name.
    init?(_ rest: ArraySlice<UInt8>) {
      var name: [UInt8] = []
      var index = rest.startIndex + 1
      if index < rest.endIndex, rest[index] == UInt8(ascii: "/") { index += 1 }
      while index < rest.endIndex, name.count < 10, MarkupText.isOfName(rest[index]) {
        name.append(rest[index] | 0x20)
        index += 1
      }
      guard index < rest.endIndex, [0x09, 0x20, 0x2F, 0x3E].contains(rest[index]), let breaks = MarkupText.names[name]
      else { return nil }
      let end = rest[index...].prefix(MarkupText.longestTag).firstIndex {
        $0 == UInt8(ascii: ">") || $0 == UInt8(ascii: "<")
      }
      guard let end, rest[end] == UInt8(ascii: ">") else { return nil }
      length = end + 1 - rest.startIndex
      breaksLine = breaks
    }
  }

  private static func isOfName(_ byte: UInt8) -> Bool {
    (0x61...0x7A).contains(byte | 0x20) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  /// The tags that stand around a text, and whether a line ends there. `<dd>` is not among them: it may be a byte of code.
  private static let names: [[UInt8]: Bool] = {
    var names: [[UInt8]: Bool] = [:]
    let inline = "a abbr b code del em font i img ins kbd label mark s samp small span strong tt u"
    let block = "blockquote body br details div h1 h2 h3 h4 hr html li ol p pre section summary table tbody td th tr ul"
    for name in inline.split(separator: " ") { names[Array(name.utf8)] = false }
    // Digits have bit 5 set already.
    for name in block.split(separator: " ") { names[Array(name.utf8)] = true }
    return names
  }()
}
