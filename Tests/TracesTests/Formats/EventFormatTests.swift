import Files
import Testing

@testable import Traces

@Suite struct EventFormatTests {
  @Test(arguments: [("traces/formats-6.18.txt", 146), ("traces/formats-6.1.txt", 112)])
  func readsEveryFormat(path: String, count: Int) throws {
    let all = try formats(in: path)
    #expect(all.count == count)
    for format in all {
      #expect(!format.name.isEmpty)
      #expect(format.commonFields.map(\.name).prefix(2) == ["common_type", "common_flags"])
      #expect(!format.printFormat.isEmpty)
    }
    #expect(Set(all.map(\.id)).count == all.count)
  }

  @Test func keepsWhatAFieldDeclares() throws {
    let exit = try #require(try formats(in: "traces/formats-6.18.txt").first { $0.name == "kvm_exit" })
    #expect(exit.system == "kvm")
    #expect(exit.fields.map(\.name).first == "exit_reason")
    #expect(
      exit.field("guest_rip")
        == EventField(
          name: "guest_rip", type: "unsigned long", kind: .scalar,
          location: FieldLocation(offset: 16, size: 8, isSigned: false, byteOrder: .littleEndian)))
    #expect(exit.field("common_pid")?.isSigned == true)
    #expect(exit.printFormat.hasPrefix("\"vcpu %u reason %s%s%s"))
    #expect(exit.printFormat.hasSuffix("REC->requests"))
    #expect(exit.minimumRecordSize == 72)
  }

  struct Declaration: Sendable, CustomTestStringConvertible {
    var text: String
    var size: Int
    var name: String
    var type: String
    var kind: EventField.Kind
    var testDescription: String { text }
  }

  @Test(arguments: [
    Declaration(
      text: "__u8 insn[15]", size: 15, name: "insn", type: "__u8[15]", kind: .array(elementSize: 1, count: 15)),
    Declaration(
      text: "unsigned long args[6]", size: 48, name: "args", type: "unsigned long[6]",
      kind: .array(elementSize: 8, count: 6)),
    Declaration(
      text: "u64 sum[N_SUMS]", size: 24, name: "sum", type: "u64[N_SUMS]", kind: .array(elementSize: 8, count: 3)),
    Declaration(text: "char buf[]", size: 0, name: "buf", type: "char[]", kind: .trailing(elementSize: 1)),
    Declaration(
      text: "__data_loc char[] msg", size: 4, name: "msg", type: "__data_loc char[]",
      kind: .dataLocation(elementSize: 1)),
    Declaration(
      text: "__data_loc u64[] a", size: 4, name: "a", type: "__data_loc u64[]", kind: .dataLocation(elementSize: 8)),
    Declaration(
      text: "__rel_loc char[] msg", size: 4, name: "msg", type: "__rel_loc char[]",
      kind: .relativeLocation(elementSize: 1)),
    Declaration(
      text: "const struct a *const attr", size: 8, name: "attr", type: "const struct a *const", kind: .scalar),
    Declaration(text: "const void* ip", size: 8, name: "ip", type: "const void*", kind: .scalar),
    Declaration(text: "gva_t gva", size: 8, name: "gva", type: "gva_t", kind: .scalar),
  ])
  func tellsTheKindsOfFieldsApart(_ declaration: Declaration) throws {
    let text = """
      name: e
      ID: 7
      format:
      \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

      \tfield:\(declaration.text);\toffset:8;\tsize:\(declaration.size);\tsigned:0;

      print fmt: "x"
      """
    let format = try EventFormat(parsing: text, system: "s", machine: .amd64)
    let field = try #require(format.fields.first)
    #expect(field.name == declaration.name)
    #expect(field.type == declaration.type)
    #expect(field.kind == declaration.kind)
  }

  @Test(arguments: [
    ("", EventFormatError(problem: .missing("name:"), line: 1, offset: 0)),
    ("name: a\nformat:\n", EventFormatError(problem: .missing("ID:"), line: 2, offset: 8)),
    ("name: a\nID: 70000\nformat:\n", EventFormatError(problem: .badIdentifier, line: 2, offset: 8)),
    ("name: a\nID: 7\n", EventFormatError(problem: .missing("format:"), line: 2, offset: 8)),
    (
      "name: a\nID: 7\nformat:\n\tfield:int x;\toffset:8;\n",
      EventFormatError(problem: .badField, line: 4, offset: 22)
    ),
    (
      "name: a\nID: 7\nformat:\n\tfield:int x;\toffset:99999999999999999999;\tsize:4;\n",
      EventFormatError(problem: .badField, line: 4, offset: 22)
    ),
    (
      "name: a\nID: 7\nformat:\n\tfield:int x;\toffset:70000;\tsize:4;\n",
      EventFormatError(problem: .fieldTooLarge, line: 4, offset: 22)
    ),
    (
      "name: a\nID: 7\nformat:\n\tfield:;\toffset:8;\tsize:4;\n",
      EventFormatError(problem: .badField, line: 4, offset: 22)
    ),
  ])
  func saysWhereATextIsWrong(text: String, error: EventFormatError) {
    #expect(throws: error) { try EventFormat(parsing: text, system: "s", machine: .amd64) }
  }

  @Test func readsATextCutAnywhereWithoutTrapping() throws {
    let whole = try #require(try formats(in: "traces/formats-6.18.txt").first)
    let text = """
      name: \(whole.name)
      ID: 7
      format:
      \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

      \tfield:__data_loc char[] a;\toffset:8;\tsize:4;\tsigned:0;

      print fmt: "%s", __get_str(a)
      """
    for length in 0...text.utf8.count {
      _ = try? EventFormat(parsing: String(text.prefix(length)), system: "s", machine: .amd64)
    }
  }
}

@Suite struct EventFieldTests {
  static let payload: [UInt8] = [
    0x80, 0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x00, 0x03, 0x00, 0x68, 0x69, 0x00,
  ]

  @Test(arguments: [
    (0, 1, false, ByteOrder.littleEndian, UInt64(0x80)),
    (0, 1, true, .littleEndian, UInt64(bitPattern: -128)),
    (0, 2, false, .littleEndian, 0xff80),
    (0, 2, true, .littleEndian, UInt64(bitPattern: -128)),
    (0, 2, true, .bigEndian, UInt64(bitPattern: -32513)),
    (2, 4, false, .littleEndian, 0x0403_0201),
    (2, 4, false, .bigEndian, 0x0102_0304),
    (0, 8, true, .littleEndian, 0x0605_0403_0201_ff80),
    (0, 8, true, .bigEndian, 0x80ff_0102_0304_0506),
  ])
  func readsIntegers(offset: Int, size: Int, isSigned: Bool, order: ByteOrder, value: UInt64) {
    let location = FieldLocation(offset: offset, size: size, isSigned: isSigned, byteOrder: order)
    let payload = Self.payload
    #expect(location.integer(in: payload.span.record) == value)
  }

  @Test(arguments: [(15, 1), (12, 4), (8, 8), (-1, 1), (0, 3), (0, 0), (Int.max, 8)])
  func readsNothingOutsideTheRecord(offset: Int, size: Int) {
    let location = FieldLocation(offset: offset, size: size, isSigned: false, byteOrder: .littleEndian)
    let payload = Self.payload
    #expect(location.integer(in: payload.span.record) == nil)
  }

  @Test(arguments: [
    (EventField.Kind.dataLocation(elementSize: 1), 8, [0x0c, 0, 3, 0], "hi" as String?),
    (.relativeLocation(elementSize: 1), 8, [0, 0, 3, 0], "hi"),
    (.dataLocation(elementSize: 1), 8, [0x0c, 0, 4, 0], nil),
    (.dataLocation(elementSize: 1), 8, [0xff, 0xff, 0, 0], nil),
    (.relativeLocation(elementSize: 1), 8, [0xff, 0xff, 0xff, 0xff], nil),
    (.trailing(elementSize: 1), 12, [0, 0, 0, 0], "hi"),
    (.trailing(elementSize: 1), 16, [0, 0, 0, 0], nil),
  ])
  func findsLocatedData(kind: EventField.Kind, offset: Int, word: [UInt8], text: String?) {
    var payload = Self.payload
    payload.replaceSubrange(8..<12, with: word)
    let location = FieldLocation(offset: offset, size: 4, isSigned: false, byteOrder: .littleEndian)
    let field = EventField(name: "f", type: "", kind: kind, location: location)
    #expect(field.string(in: payload.span.record) == text)
  }
}
