import QEMU
import SeededRandom
import Testing

/// Packets as QEMU 7.2 sends them, and as nobody should.
@Suite struct GDBDecoderTests {
  private func messages(_ text: String) throws(GDBProtocolError) -> [GDBMessage] {
    var decoder = GDBDecoder()
    decoder.receive(text.utf8)
    var messages: [GDBMessage] = []
    while let message = try decoder.next() { messages.append(message) }
    return messages
  }

  private func packet(_ text: String) -> GDBMessage { .packet(GDBReply(Array(text.utf8))) }

  @Test func `an acknowledgment and an answer`() throws {
    let text = "+$PacketSize=1000;qXfer:features:read+;vContSupported+;multiprocess+#92"
    #expect(
      try messages(text) == [
        .acknowledgment, packet("PacketSize=1000;qXfer:features:read+;vContSupported+;multiprocess+"),
      ])
    #expect(try messages("$T02thread:01;#04") == [packet("T02thread:01;")])
    #expect(try messages("+$#00") == [.acknowledgment, packet("")])
    #expect(try messages("-$OK#9a") == [.retransmissionRequest, packet("OK")])
  }

  @Test func `a stream cut anywhere`() throws {
    let text = Array("+$T05thread:01;#07+$OK#9a".utf8)
    for cut in 0...text.count {
      var decoder = GDBDecoder()
      var messages: [GDBMessage] = []
      for part in [text[..<cut], text[cut...]] {
        decoder.receive(part)
        while let message = try decoder.next() { messages.append(message) }
      }
      #expect(messages == [.acknowledgment, packet("T05thread:01;"), .acknowledgment, packet("OK")])
    }
  }

  @Test(
    arguments: [
      ("$OK#9b", .damagedPacket), ("$OK#zz", .damagedPacket), ("$OK#9A", .packet(GDBReply(Array("OK".utf8)))),
      // A packet that was cut off by the next.
      ("$T05th$OK#9a", .packet(GDBReply(Array("OK".utf8)))),
    ] as [(String, GDBMessage)]) func `checksums`(text: String, message: GDBMessage) throws
  {
    #expect(try messages(text) == [message])
  }

  @Test func `run lengths`() throws {
    // The GDB manual's own example, and the longest run.
    #expect(try messages("$0* #7a") == [packet("0000")])
    #expect(
      try messages("$0*~1#0a".replacing("#0a", with: checksum("0*~1"))) == [
        packet(String(repeating: "0", count: 98) + "1")
      ])
  }

  private func checksum(_ payload: String) -> String {
    let sum = payload.utf8.reduce(0, &+)
    return "#" + (sum < 16 ? "0" : "") + String(sum, radix: 16)
  }

  @Test(arguments: [("*5", 0), ("0*", 1), ("0*\u{1f}", 1), ("ab*\u{7f}", 2)])
  func `run lengths that are none`(payload: String, offset: Int) {
    #expect(throws: GDBProtocolError.badRunLength(offset: offset)) { try messages("$" + payload + checksum(payload)) }
  }

  @Test func `packets without end and bombs of run lengths`() {
    #expect(throws: GDBProtocolError.self) {
      try messages("$" + String(repeating: "0", count: GDBDecoder.maximumLength + 1))
    }
    let bomb = "0" + String(repeating: "*~", count: GDBDecoder.maximumLength / 4)
    #expect(throws: GDBProtocolError.self) { try messages("$" + bomb + checksum(bomb)) }
  }

  @Test func `another protocol`() {
    #expect(throws: GDBProtocolError.notGDB(byte: UInt8(ascii: "{"))) { try messages("{\"QMP\": {}}") }
  }

  @Test func `any bytes at all`() {
    var generator = SeededGenerator(seed: 4)
    for _ in 0..<20_000 {
      let likely = Array("$#+-*}0aE".utf8)
      let bytes = (0..<Int.random(in: 0..<40, using: &generator)).map { _ in
        generator.oneIn(3) ? UInt8(truncatingIfNeeded: generator.next()) : generator.pick(likely)
      }
      var decoder = GDBDecoder()
      decoder.receive(bytes)
      var count = 0
      while let message = try? decoder.next() {
        count += 1
        if case .packet(let reply) = message { readEverything(reply) }
      }
      #expect(count <= bytes.count)
    }
  }

  private func readEverything(_ reply: GDBReply) {
    _ = (reply.isOK, reply.errorNumber, reply.isStopReply, reply.consoleOutput, reply.feature("a"), reply.registerValue)
    _ = (try? reply.bytes, try? reply.unescaped, try? reply.filePart, try? reply.threads)
  }
}

@Suite struct GDBReplyTests {
  private func reply(_ text: String) -> GDBReply { GDBReply(Array(text.utf8)) }

  @Test func `errors and what only looks like one`() throws {
    #expect(reply("E22").errorNumber == 0x22)
    #expect(reply("E0").errorNumber == nil)
    #expect(reply("E012").errorNumber == nil)
    #expect(try reply("E012").bytes == [0xE0, 0x12])
    #expect(reply("").isUnknownRequest)
  }

  @Test func `hexadecimal`() throws {
    #expect(try reply("f0fF00").bytes == [0xF0, 0xFF, 0])
    #expect(reply("f0ff000000000000").registerValue == 0xFFF0)
    #expect(reply("000000000000000000").registerValue == nil)
    #expect(throws: GDBReplyError.notHexadecimal(offset: 3)) { try reply("f0f").bytes }
    #expect(throws: GDBReplyError.notHexadecimal(offset: 2)) { try reply("f0xx").bytes }
  }

  @Test func `features`() {
    let answer = reply("PacketSize=1000;qXfer:features:read+;vContSupported-;multi")
    #expect(answer.feature("PacketSize") == "1000")
    #expect(answer.feature("qXfer:features:read") == "+")
    #expect(answer.feature("vContSupported") == "-")
    #expect(answer.feature("multi") == nil)
    #expect(answer.feature("Packet") == nil)
  }

  @Test func `threads`() throws {
    #expect(try reply("m01").threads == [GDBThread("01")])
    #expect(try reply("mp01.01,p01.02").threads == [GDBThread("p01.01"), GDBThread("p01.02")])
    #expect(try reply("l").threads == [])
    for bad in ["", "m", "m,", "m1,", "mHg", "m1#", "OK", "m" + String(repeating: "1", count: 100)] {
      #expect(throws: GDBReplyError.notThreads, "\(bad)") { try reply(bad).threads }
    }
  }

  @Test func `parts of files`() throws {
    let part = try reply("l<a>}\u{3}}]</a>").filePart
    #expect(part.isLast)
    #expect(part.bytes == Array("<a>#}</a>".utf8))
    #expect(throws: GDBReplyError.endsInEscape) { try reply("mabc}").filePart }
    #expect(throws: GDBReplyError.notFilePart) { try reply("x").filePart }
    #expect(throws: GDBReplyError.notFilePart) { try reply("").filePart }
  }

  @Test func `what a monitor prints, and OK, which begins with the same letter`() {
    #expect(reply("O372e32").consoleOutput == Array("7.2".utf8))
    #expect(reply("OK").consoleOutput == nil)
    #expect(reply("O7").consoleOutput == nil)
    #expect(reply("T02thread:01;").isStopReply)
    #expect(!reply("Target").isStopReply)
  }

  @Test func `commands are framed, and what would end a packet is escaped`() {
    #expect(GDBPacket.framed(GDBCommand.detach.payload) == Array("$D#44".utf8))
    #expect(GDBPacket.framed(Array("a#b".utf8)) == Array("$a}".utf8) + [3] + Array("b#43".utf8))
    #expect(GDBCommand.monitor("info version") == GDBCommand("qRcmd,696e666f2076657273696f6e"))
    #expect(GDBCommand.writeRegister(29, [0, 0x10, 0, 0]) == GDBCommand("P1d=00100000"))
    #expect(
      GDBCommand.readFeatures("target.xml", offset: 0xFFB, count: 0xFFB)
        == GDBCommand("qXfer:features:read:target.xml:ffb,ffb"))
  }
}
