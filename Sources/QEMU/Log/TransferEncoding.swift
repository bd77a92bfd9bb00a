/// What mail and web pages make of a text, undone line by line: quoted-printable (RFC 2045, 6.7), HTML's character references, and the
/// blanks that do not break.
enum TransferEncoding {
  /// Whether a text is quoted-printable, wholly or in parts: QEMU writes hexadecimal digits in lower case, so that `=3D` is no value of
  /// its dumps.
  static func isQuotedPrintable(_ text: [UInt8]) -> Bool {
    var count = 0
    var position = 0
    while count < fewestEscapes, let equals = text[position...].firstIndex(of: Byte.equals) {
      if text[equals...].starts(with: escapedEquals) { count += 1 }
      position = equals + 1
    }
    return count == fewestEscapes
  }

  private static let fewestEscapes = 3
  private static let escapedEquals = Array("=3D".utf8)

  /// Whether a line of a quoted-printable text goes on in the next.
  static func endsSoftly(_ line: ArraySlice<UInt8>) -> Bool { line.last { !Byte.isBlank($0) } == Byte.equals }

  /// A line without its soft break and with each `=XX` as the byte it stands for. A line that has another `=` is none of such a text, and
  /// stays as it is.
  static func decodingQuotedPrintable(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var line = line
    if endsSoftly(line), let end = line.lastIndex(of: Byte.equals) { line = line[..<end] }
    guard line.contains(Byte.equals) else { return line }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(line.count)
    var position = line.startIndex
    while position < line.endIndex {
      guard line[position] == Byte.equals else {
        decoded.append(line[position])
        position += 1
        continue
      }
      guard line.endIndex - position > 2, let high = Byte.hexDigit(line[position + 1]),
        let low = Byte.hexDigit(line[position + 2])
      else { return line }
      decoded.append(high << 4 | low)
      position += 3
    }
    return decoded[...]
  }

  /// A line with the references that pages and logs make of `<`, `>`, `&`, `=` and quotes, and with no-break spaces, as the bytes they
  /// stand for.
  static func decodingReferences(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard line.contains(where: beginsReference) else { return line }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(line.count)
    var rest = line
    while let first = rest.first {
      let found = beginsReference(first) ? references.first { rest.starts(with: $0.text) } : nil
      decoded.append(found?.byte ?? first)
      rest = rest.dropFirst(found?.text.count ?? 1)
    }
    return decoded[...]
  }

  /// A line without HTML's line break at its end.
  static func withoutBreak(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard line.last == Byte.greater else { return line }
    for mark in breaks where line.suffix(mark.count).elementsEqual(mark) { return line.dropLast(mark.count) }
    return line
  }

  private static let breaks = ["<br>", "<br/>", "<br />", "<BR>"].map { Array($0.utf8) }

  private static func beginsReference(_ byte: UInt8) -> Bool {
    byte == ampersand || byte == noBreakSpace[0] || byte == Byte.backslash
  }

  private static let ampersand = UInt8(ascii: "&")
  /// U+00A0 in UTF-8.
  private static let noBreakSpace: [UInt8] = [0xC2, 0xA0]

  private static let references: [(text: [UInt8], byte: UInt8)] = [
    (noBreakSpace, UInt8(ascii: " ")), (Array("&nbsp;".utf8), UInt8(ascii: " ")),
    (Array("&lt;".utf8), Byte.less), (Array("&gt;".utf8), Byte.greater), (Array("&amp;".utf8), ampersand),
    (Array("&quot;".utf8), UInt8(ascii: "\"")), (Array("&#34;".utf8), UInt8(ascii: "\"")),
    (Array("&apos;".utf8), UInt8(ascii: "'")), (Array("&#39;".utf8), UInt8(ascii: "'")),
    (Array("&#x27;".utf8), UInt8(ascii: "'")), (Array("&#60;".utf8), Byte.less), (Array("&#62;".utf8), Byte.greater),
    (Array("&#x3c;".utf8), Byte.less), (Array("&#x3C;".utf8), Byte.less), (Array("&#x3e;".utf8), Byte.greater),
    (Array("&#x3E;".utf8), Byte.greater), (Array("&#61;".utf8), Byte.equals), (Array("&#x3D;".utf8), Byte.equals),
    // Go's encoding/json, and so Docker's and Kubernetes' logs (encode.go: appendString with escapeHTML).
    (Array("\\u003c".utf8), Byte.less), (Array("\\u003e".utf8), Byte.greater), (Array("\\u0026".utf8), ampersand),
    // Markdown, as editors write it.
    (Array("\\<".utf8), Byte.less), (Array("\\>".utf8), Byte.greater), (Array("\\=".utf8), Byte.equals),
  ]
}
