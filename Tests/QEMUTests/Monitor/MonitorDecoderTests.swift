import QEMU
import SeededRandom
import Testing

@Suite("the human monitor on a socket")
struct MonitorDecoderTests {
  /// As QEMU 7.2 wrote it to a telnet client that typed `info status`; the echo is cut short.
  private static let session: [UInt8] =
    [0xFF, 0xFB, 0x01, 0xFF, 0xFB, 0x03, 0xFF, 0xFB, 0x00, 0xFF, 0xFD, 0x00]
    + Array(
      ("QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) "
        + "i\u{1B}[K\u{1B}[Din\u{1B}[K\u{1B}[D\u{1B}[Dinf"
        + "\u{1B}[K\r\nVM status: running\r\n(qemu) " + "x\u{1B}[K\r\n(qemu) ").utf8)
  private static let texts = [
    "QEMU 7.2.22 monitor - type 'help' for more information\n", "VM status: running\n", "",
  ]

  @Test("what is printed between prompts, however the stream is cut", arguments: [1, 2, 3, 7, 64, 1000])
  func session(_ length: Int) throws {
    var decoder = MonitorDecoder()
    var texts: [String] = []
    for start in stride(from: 0, to: Self.session.count, by: length) {
      decoder.receive(Self.session[start..<min(start + length, Self.session.count)])
      while let text = try decoder.next() { texts.append(text) }
    }
    #expect(texts == Self.texts)
  }

  @Test("a prompt within a line is none, and without one nothing is given")
  func noPrompt() throws {
    var decoder = MonitorDecoder()
    decoder.receive("a (qemu) b\n(qemu)".utf8)
    #expect(try decoder.next() == nil)
    decoder.receive(" ".utf8)
    #expect(try decoder.next() == "a (qemu) b\n")
  }

  @Test(
    "a stream without end is given up, also one of nothing that counts", arguments: [0x61, 0x0D, 0x1B, 0xFF] as [UInt8])
  func endless(_ byte: UInt8) throws {
    var decoder = MonitorDecoder()
    decoder.receive(repeatElement(byte, count: MonitorDecoder.maximumLength))
    #expect(try decoder.next() == nil)
    decoder.receive([byte])
    #expect(throws: MonitorProtocolError.outputTooLong(bytes: MonitorDecoder.maximumLength + 1)) { try decoder.next() }
  }

  @Test("bytes of any kind do no harm")
  func anything() throws {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<200 {
      var decoder = MonitorDecoder()
      let bytes = (0..<200).map { _ in
        Bool.random(using: &random)
          ? Self.session.randomElement(using: &random) ?? 0 : UInt8.random(in: 0...255, using: &random)
      }
      decoder.receive(bytes)
      while try decoder.next() != nil {}
    }
  }
}
