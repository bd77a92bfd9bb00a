import Testing

/// The same dump as people have it.
@Suite("inquest examine: forms of text")
struct TextFormTests {
  @Test("what PowerShell redirects, what a terminal shows and what a web service answers says what the log says")
  func forms() async throws {
    let text = String(decoding: try contents(ofFixture: "../qemu/kvm-emulation-failure.log"), as: UTF8.self)
    let (_, plain) = try await examine(["-"], standardInput: Array(text.utf8))
    #expect(plain.outcome == "died")
    let units = text.utf16.flatMap { unit -> [UInt8] in
      [UInt8(truncatingIfNeeded: unit), UInt8(truncatingIfNeeded: unit >> 8)]
    }
    let coloured = text.split(separator: "\n").map { "\u{1B}[1;31m\($0)\u{1B}[0m\u{1B}[K\r\n" }.joined()
    let answer = "{\"body\":\"" + text.replacing("\n", with: "\\n").replacing("<", with: "\\u003c") + "\"}\n"
    let forms: [[UInt8]] = [[0xFF, 0xFE] + units, Array(coloured.utf8), Array(answer.utf8)]
    for form in forms {
      let (_, verdict) = try await examine(["-"], standardInput: form)
      #expect(verdict.outcome == plain.outcome && verdict.cause?.id == plain.cause?.id)
      #expect(verdict.observations.map(\.text) == plain.observations.map(\.text))
    }
  }
}
