import Files
import SeededRandom
import Testing

@Suite("Texts as people have them")
struct PlainTextTests {
  private func plain(_ bytes: [UInt8]) -> String? {
    guard let lines = PlainText.lines(of: bytes.span) else { return nil }
    return String(decoding: lines, as: UTF8.self)
  }

  private func plain(_ text: String) -> String? { plain(Array(text.utf8)) }

  private static let text = "RAX=0000000000000001 Ü\r\nCS =0008\r\n"

  private static func encoded(_ text: String, isBig: Bool) -> [UInt8] {
    text.utf16.flatMap { unit -> [UInt8] in
      let (high, low) = (UInt8(truncatingIfNeeded: unit >> 8), UInt8(truncatingIfNeeded: unit))
      return isBig ? [high, low] : [low, high]
    }
  }

  @Test("a plain text is left alone")
  func plainAlready() {
    #expect(plain(Self.text) == nil)
    #expect(plain("") == nil)
    #expect(plain("Code=00 00 <b8> 00 C:\\new <dd> a[3]\n") == nil)
  }

  @Test("UTF-16 of either order, marked or not, whole or behind another text")
  func utf16() {
    #expect(plain([0xFF, 0xFE] + Self.encoded(Self.text, isBig: false)) == Self.text)
    #expect(plain([0xFE, 0xFF] + Self.encoded(Self.text, isBig: true)) == Self.text)
    let ascii = Self.text.filter(\.isASCII)
    #expect(plain(Self.encoded(ascii, isBig: false)) == ascii)
    #expect(plain(Self.encoded(ascii, isBig: true)) == ascii)
    #expect(plain(Array("first\n".utf8) + Self.encoded(ascii, isBig: false)) == "first\n" + ascii)
    #expect(plain([0xFF, 0xFE]) == "")
    #expect(plain([0xFF, 0xFE, 0x41]) == "")
  }

  @Test("what is binary is no UTF-16")
  func binary() {
    #expect(plain([1, 0, 2, 0, 3, 0, 4, 0]) == nil)
    #expect(plain([UInt8](repeating: 0, count: 64)) == nil)
  }

  @Test("colours, titles, moves of the cursor and corrected typing")
  func terminal() {
    #expect(plain("\u{1B}[1;31mRAX\u{1B}[0m=00\u{1B}[K\n") == "RAX=00\n")
    #expect(plain("\u{1B}]0;title\u{7}a\u{1B}(B b\u{1B}]2;x\u{1B}\\c\u{1B}=d\n") == "a bcd\n")
    #expect(plain("a\u{1B}[5;1Hb\u{1B}[3Cc") == "a\u{B}b c")
    #expect(plain("quitx\u{8}\n\u{8}\n") == "quit\n\n")
    #expect(plain("^[[31mRAX^[[0m #033[1mred\n") == "RAX red\n")
    #expect(plain("a\u{1B}[12") == "a")
    #expect(plain("a\u{1B}") == "a")
  }

  @Test("a text in one string")
  func escaped() {
    let lines = [String](repeating: "a=\\\"\\u001b[0m1\\\"", count: 9).joined(separator: "\\r\\n")
    #expect(
      plain("{\"body\":\"\(lines)\"}\n") == "{\"body\":\""
        + [String](repeating: "a=\"1\"", count: 9).joined(separator: "\u{B}") + "\"}\n")
    // Where there are lines, they are the text's.
    #expect(plain([String](repeating: "C:\\new\n", count: 9).joined()) == nil)
  }

  @Test("a page's source")
  func markup() {
    #expect(plain("<pre><code class=\"a\">A=<span>1</span><br/>B=2</code></pre>\n") == "\u{B}A=1\u{B}B=2\n")
    #expect(plain("x</p>\n<0f> <dd> <a@b.c> </p>\n") == "x\n<0f> <dd> <a@b.c> \n")
  }

  @Test("no text breaks it", arguments: [1, 2, 3, 4])
  func hostile(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let pieces = [
      "\u{1B}", "\u{1B}[", "\u{1B}]", "\\n", "\\u001b", "<br", "</", "<span ", ">", "^[", "[", "3", ";", "m", "\n",
      "\u{8}", "\u{B}", "\\", "H", "x",
    ]
    for _ in 0..<2000 {
      let count = Int.random(in: 0...40, using: &generator)
      var bytes = (0..<count).flatMap { _ in Array((pieces.randomElement(using: &generator) ?? "").utf8) }
      if Bool.random(using: &generator) { bytes = [0xFF, 0xFE] + bytes }
      let zeroed = bytes.map { Bool.random(using: &generator) ? 0 : $0 }
      _ = (plain(bytes), plain(zeroed))
    }
  }
}
