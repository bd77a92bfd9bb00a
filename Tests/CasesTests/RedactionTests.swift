import Testing

@testable import Cases

@Suite("names and addresses are taken out of what leaves the host")
struct RedactionTests {
  private let redaction = Redaction(users: ["alice", "root", "x"], hosts: ["build7.example.org"])

  @Test(
    "each kind, and what only looks like it",
    arguments: [
      ("-kernel /home/alice/my.elf", "-kernel /home/xxxxx/my.elf"),
      ("/home/bob.b/x /Users/Eve-1/y", "/home/xxxxx/x /Users/xxxxx/y"),
      ("alice@build7 build7.example.org", "xxxxx@xxxxxx xxxxxxxxxxxxxxxxxx"),
      ("malice build77 alice2", "malice build77 alice2"),
      ("root: system, user x", "root: system, user x"),
      ("hostfwd=tcp:192.168.1.17:22-:22", "hostfwd=tcp:0.0.0.0:22-:22"),
      ("10.0.0.1.", "0.0.0.0."),
      ("127.0.0.1 ::1 1.2.3 1.2.3.4.5 300.1.1.1", "127.0.0.1 ::1 1.2.3 1.2.3.4.5 300.1.1.1"),
      ("[fe80::1:2] 2001:db8:0:0:0:0:0:1", "[::] ::"),
      ("52:54:00:12:34:56 12:34:56 std::vector a::b", "52:54:00:12:34:56 12:34:56 std::vector a::b"),
      ("RIP=00000000001000c6 0x1000c6", "RIP=00000000001000c6 0x1000c6"),
      ("/home/", "/home/"),
      ("", ""),
    ])
  func text(_ text: String, _ expected: String) {
    #expect(String(decoding: redaction.redacted(Array(text.utf8)), as: UTF8.self) == expected)
  }

  @Test("in a binary file nothing moves")
  func binary() {
    let bytes = Array("\0/home/alice/src/10.1.2.3\0".utf8)
    let redacted = redaction.redactedInPlace(bytes)
    #expect(String(decoding: redacted, as: UTF8.self) == "\0/home/xxxxx/src/10.1.2.3\0")
  }
}
