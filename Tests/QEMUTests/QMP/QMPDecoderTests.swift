import QEMU
import Testing

@Suite struct QMPDecoderTests {
  /// Lines that QEMU 7.2.22 sent, and what they say.
  static let session: [(line: String, message: QMPMessage)] = [
    (
      #"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2"}, "capabilities": ["oob"]}}"#,
      .greeting(QEMUVersion(major: 7, minor: 2, micro: 22, package: "Debian 1:7.2"))
    ),
    (#"{"return": {}, "id": 1}"#, .reply(id: 1, value: .object([:]))),
    (
      #"{"return": {"status": "prelaunch", "singlestep": false, "running": false}, "id": 2}"#,
      .reply(
        id: 2, value: .object(["status": .string("prelaunch"), "singlestep": .bool(false), "running": .bool(false)]))
    ),
    (
      #"{"timestamp": {"seconds": 1795369662, "microseconds": 12}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#,
      .event(QMPEvent(name: "SHUTDOWN", data: .object(["guest": .bool(true), "reason": .string("guest-reset")])))
    ),
    (
      #"{"timestamp": {"seconds": 1795369662, "microseconds": 13}, "event": "STOP"}"#,
      .event(QMPEvent(name: "STOP", data: nil))
    ),
    (
      #"{"id": 3, "error": {"class": "GenericError", "desc": "Property 'x.nosuch' not found"}}"#,
      .failure(id: 3, QMPFailure(errorClass: "GenericError", explanation: "Property 'x.nosuch' not found"))
    ),
    (
      #"{"return": [{"features": 18446744073709551615, "a": -1, "b": 1.5, "c": null, "d": "A\r\n"}], "id": 4}"#,
      .reply(
        id: 4,
        value: .array([
          .object([
            "features": .unsigned(.max), "a": .integer(-1), "b": .number(1.5), "c": .null, "d": .string("A\r\n"),
          ])
        ]))
    ),
  ]

  @Test(arguments: [1, 2, 7, 64, 100_000]) func `messages come out whole however the stream is cut`(size: Int) throws {
    let stream = Array(Self.session.map { $0.line + "\r\n" }.joined().utf8)
    var decoder = QMPDecoder()
    var messages: [QMPMessage] = []
    for start in stride(from: 0, to: stream.count, by: size) {
      decoder.receive(stream[start..<min(start + size, stream.count)])
      while let message = try decoder.next() { messages.append(message) }
    }
    #expect(messages == Self.session.map(\.message))
  }

  @Test(arguments: [
    "hello", "{", "[]", "{}", #"{"return"}"#, #"{"event": 3}"#, #"{"QMP": {}}"#, "\u{0}\u{1}\u{FF}", "true",
    #"{"return": {}} {"return": {}}"#,
  ]) func `a line that is no QMP is an error`(line: String) {
    var decoder = QMPDecoder()
    decoder.receive(Array(line.utf8) + [UInt8(ascii: "\n")])
    #expect(throws: QMPProtocolError.notQMP(line: line)) { try decoder.next() }
  }

  @Test func `deep nesting is refused before it is parsed`() {
    for depth in [65, 1_000_000] {
      var decoder = QMPDecoder()
      decoder.receive(Array(#"{"return": "#.utf8) + Array(repeating: UInt8(ascii: "["), count: depth - 1) + [10])
      #expect(throws: QMPProtocolError.nestedTooDeep(depth: depth)) { try decoder.next() }
    }
  }

  @Test func `brackets in strings do not nest`() throws {
    var decoder = QMPDecoder()
    let text = String(repeating: #"[{\"\\"#, count: 200)
    decoder.receive(Array("{\"return\": \"\(text)\", \"id\": 1}\n".utf8))
    #expect(try decoder.next() == .reply(id: 1, value: .string(String(repeating: #"[{"\"#, count: 200))))
  }

  @Test func `nesting within the limit is read`() throws {
    var decoder = QMPDecoder()
    let open = String(repeating: "[", count: 63)
    let close = String(repeating: "]", count: 63)
    decoder.receive(Array("{\"return\": \(open)\(close)}\n".utf8))
    guard case .reply(nil, .array(let elements))? = try decoder.next() else {
      Issue.record("no reply")
      return
    }
    #expect(elements.count == 1)
  }

  @Test func `a line without end is refused before it fills memory`() throws {
    var decoder = QMPDecoder()
    let piece = [UInt8](repeating: UInt8(ascii: "{"), count: 1 << 20)
    for _ in 0..<16 {
      decoder.receive(piece)
      #expect(try decoder.next() == nil)
    }
    decoder.receive(piece)
    #expect(throws: QMPProtocolError.messageTooLong(bytes: 17 << 20)) { try decoder.next() }
  }

  @Test func `a stream that begins otherwise is refused without waiting for the end of its line`() {
    var decoder = QMPDecoder()
    decoder.receive(Array("$T02thread:01;#04".utf8))
    #expect(throws: QMPProtocolError.notQMP(line: "$T02thread:01;#04")) { try decoder.next() }
  }

  @Test func `a long string is read`() throws {
    let text = String(repeating: "x", count: 1 << 20)
    var decoder = QMPDecoder()
    decoder.receive(Array("{\"return\": \"\(text)\", \"id\": 9}\n".utf8))
    #expect(try decoder.next() == .reply(id: 9, value: .string(text)))
  }
}

@Suite struct QMPCommandTests {
  @Test func `a command is one line that says what it means`() throws {
    let bytes = QMPCommand.monitor("xp /2gx 0x1000 \"\n").encoded(id: 7)
    #expect(bytes.last == 10)
    #expect(!bytes.dropLast().contains(10))
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(text.contains(#""execute":"human-monitor-command""#))
    #expect(
      text.contains(#""command-line":"xp \/2gx 0x1000 \"\n""#)
        || text.contains(#""command-line":"xp /2gx 0x1000 \"\n""#))
    #expect(text.contains(#""id":7"#))
  }

  @Test func `entries of the processor list that lack something are left out`() {
    let whole: JSONValue = .object([
      "cpu-index": .integer(1), "thread-id": .integer(42), "qom-path": .string("/machine/unattached/device[2]"),
    ])
    let reply: JSONValue = .array([whole, .object(["cpu-index": .integer(0)]), .null])
    #expect(VirtualCPU.list(reply) == [VirtualCPU(index: 1, threadID: 42, path: "/machine/unattached/device[2]")])
    #expect(VirtualCPU.list(.string("no list")).isEmpty)
  }
}
