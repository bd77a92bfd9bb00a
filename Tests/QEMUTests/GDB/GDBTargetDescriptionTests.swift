import QEMU
import SeededRandom
import Testing

@Suite struct GDBTargetDescriptionTests {
  private func description(
    _ files: [String: String]
  ) throws(GDBTargetDescriptionError) -> GDBTargetDescription {
    try GDBTargetDescription { name throws(GDBTargetDescriptionError) in
      guard let text = files[name] else { throw .unreadableFile(name) }
      return Array(text.utf8)
    }
  }

  /// As QEMU 7.2 gives them, shortened.
  private static let files = [
    "target.xml": """
    <?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target><architecture>i386:x86-64</architecture>\
    <xi:include href="i386-64bit.xml"/></target>
    """,
    "i386-64bit.xml": """
    <?xml version="1.0"?>
    <!-- It's a <reg name="comment" bitsize="64"/> -->
    <feature name="org.gnu.gdb.i386.core">
      <flags id="x64_eflags" size="4"><field name="CF" start="0" end="0"/></flags>
      <reg name="rax" bitsize="64" type="int64" regnum="0"/>
      <reg name="rbx" bitsize="64" type="int64"/>
      <reg name='eflags' bitsize='32' type="x64_eflags" regnum="17"/>
      <reg name="st0" bitsize="80" type="i387_ext"/>
      <reg name="cr0" bitsize="64"
           type="x64_cr0"></reg>
    </feature>
    """,
  ]

  @Test func `registers have the numbers and sizes that are given or follow`() throws {
    let description = try description(Self.files)
    #expect(description.registers.map(\.name) == ["rax", "rbx", "eflags", "st0", "cr0"])
    #expect(description.registers.map(\.number) == [0, 1, 17, 18, 19])
    #expect(description.registers.map(\.bitSize) == [64, 64, 32, 80, 64])
    #expect(description["cr0"]?.bytes(of: 0x8000_0011) == [0x11, 0, 0, 0x80, 0, 0, 0, 0])
    #expect(description["comment"] == nil)
  }

  @Test func `values are found in an answer to g, and those not shown are not`() throws {
    let description = try description(Self.files)
    let all = "0100000000000000" + "xxxxxxxxxxxxxxxx" + "02000000" + "00000000000000000000" + "11000080"
    let reply = GDBReply(Array(all.utf8))
    #expect(description.value(of: "rax", in: reply) == 1)
    #expect(description.value(of: "rbx", in: reply) == nil)
    #expect(description.value(of: "eflags", in: reply) == 2)
    #expect(description.value(of: "st0", in: reply) == nil)
    // Cut off.
    #expect(description.value(of: "cr0", in: reply) == nil)
    #expect(description.value(of: "nosuch", in: reply) == nil)
  }

  @Test(
    arguments: [
      ("<reg name='a'/>", .badRegister(offset: 0)), ("<reg bitsize='8'/>", .badRegister(offset: 0)),
      ("  <reg name='a' bitsize='0'/>", .badRegister(offset: 2)),
      ("<reg name='a' bitsize='99999999999999999999'/>", .badRegister(offset: 0)),
      ("<reg name='a' bitsize='8' regnum='-1'/>", .badRegister(offset: 0)),
      ("<reg name='a' bitsize='8' regnum='4294967296'/>", .badRegister(offset: 0)),
      ("<reg name='a' bitsize='8' regnum='x'/>", .badRegister(offset: 0)),
      ("<reg name='a' bitsize='8'/><reg name='b' bitsize='8' regnum='0'/>", .repeatedRegister("b")),
      ("<reg name='a' bitsize='8'/><reg name='a' bitsize='8'/>", .repeatedRegister("a")),
      ("<xi:include/>", .badRegister(offset: 0)), ("<xi:include href='nosuch'/>", .unreadableFile("nosuch")),
      ("<xi:include href='target.xml'/>", .tooManyFiles), ("<!-- ", .unclosed(offset: 0)),
      ("<a><reg name='a", .unclosed(offset: 3)), ("<![CDATA[>", .unclosed(offset: 0)),
    ] as [(String, GDBTargetDescriptionError)])
  func `descriptions that cannot be used`(text: String, error: GDBTargetDescriptionError) {
    #expect(throws: error) { try description(["target.xml": text]) }
  }

  @Test func `too many registers`() {
    let text = (0...GDBTargetDescription.maximumRegisters).map { "<reg name='r\($0)' bitsize='64'/>" }.joined()
    #expect(throws: GDBTargetDescriptionError.tooManyRegisters) { try description(["target.xml": text]) }
  }

  @Test func `damaged descriptions end in a description or an error`() {
    var generator = SeededGenerator(seed: 5)
    let sound = Array(Self.files["i386-64bit.xml", default: ""].utf8)
    for _ in 0..<2000 {
      var bytes = sound
      for _ in 0..<Int.random(in: 1..<20, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = generator.pick(Array("<>\"'!-/= a0".utf8))
      }
      let text = bytes
      _ = try? GDBTargetDescription { _ throws(GDBTargetDescriptionError) in text }
    }
  }
}
