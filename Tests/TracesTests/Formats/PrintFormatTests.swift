import Files
import Foundation
import Testing

@testable import Traces

/// A record that a kernel wrote, and the text that it printed for it.
struct PrintedRecord: Sendable, CustomTestStringConvertible {
  var name: String
  var record: [UInt8]
  var text: String
  var testDescription: String { "\(name): \(text)" }

  /// The lines `NAME<TAB>HEX<TAB>TEXT` of a fixture.
  static func all(in path: String) throws -> [PrintedRecord] {
    try String(decoding: fixture(path), as: UTF8.self).split(separator: "\n").map { line in
      let parts = line.split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false)
      let digits = Array(parts[1].utf8)
      let bytes = stride(from: 0, to: digits.count, by: 2).map { index in
        (digits[index].hexadecimalDigit ?? 0) << 4 | (digits[index + 1].hexadecimalDigit ?? 0)
      }
      return PrintedRecord(name: String(parts[0]), record: bytes, text: String(parts[2]))
    }
  }
}

/// What a print format makes of a record.
func printed(_ format: PrintFormat, _ record: [UInt8]) -> String? {
  var buffer = TextBuffer(capacity: 16)
  return format.render(record.span.record, into: &buffer) ? buffer.string : nil
}

@Suite struct PrintFormatTests {
  @Test(arguments: ["6.18", "6.1"])
  func printsWhatTheKernelPrinted(version: String) throws {
    let formats = try formats(in: "traces/formats-\(version).txt")
    var compiled: [String: PrintFormat] = [:]
    for format in formats { compiled[format.name] = try PrintFormat(format) }
    let records = try PrintedRecord.all(in: "traces/records-\(version).txt")
    #expect(records.count > 140)
    for record in records {
      let format = try #require(compiled[record.name])
      #expect(printed(format, record.record) == record.text, "\(record.name)")
    }
  }

  @Test(arguments: ["formats-6.18.txt", "formats-6.1.txt"])
  func compilesEveryFormatOfTheSystemsThatMatter(file: String) throws {
    for format in try formats(in: "traces/\(file)") {
      #expect(throws: Never.self, "\(format.name)") { try PrintFormat(format) }
    }
  }

  @Test(
    .enabled(if: FileManager.default.isReadableFile(atPath: tracefs), "needs tracefs and the right to read it"),
    arguments: ["kvm", "kvmmmu", "sched", "irq", "raw_syscalls", "exceptions"])
  func compilesTheFormatsOfThisMachine(system: String) throws {
    let folder = "\(Self.tracefs)/\(system)"
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      guard let file = FileHandle(forReadingAtPath: "\(folder)/\(name)/format"), let text = try file.readToEnd() else {
        continue
      }
      let format = try EventFormat(
        parsing: String(decoding: text, as: UTF8.self), system: system, machine: .amd64)
      #expect(throws: Never.self, "\(name)") { try PrintFormat(format) }
    }
  }

  static let tracefs = "/sys/kernel/tracing/events"

  @Test(arguments: ["formats-6.18.txt", "formats-6.1.txt"])
  func printsAnyRecordWithoutTrapping(file: String) throws {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    for format in try formats(in: "traces/\(file)") {
      let print = try PrintFormat(format)
      for length in 0..<(format.minimumRecordSize + 40) {
        let record = (0..<length).map { _ in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return UInt8(truncatingIfNeeded: state >> 56)
        }
        let text = printed(print, record)
        if length < 8 { #expect(text == nil || format.fields.allSatisfy { $0.offset + $0.size <= length }) }
      }
      #expect(printed(print, [UInt8](repeating: 0xff, count: format.minimumRecordSize)) != "")
    }
  }
}

/// What the expressions and conversions of C mean, on a record with one field of each type.
@Suite struct PrintExpressionTests {
  static let fields: [(declaration: String, size: Int, isSigned: Bool, bytes: [UInt8])] = [
    ("u8 a", 1, false, [0xfe]), ("s8 b", 1, true, [0xfe]), ("u16 c", 2, false, [0xfe, 0xff]),
    ("s16 d", 2, true, [0xfe, 0xff]), ("u32 e", 4, false, [0xfe, 0xff, 0xff, 0xff]),
    ("s32 f", 4, true, [0xfe, 0xff, 0xff, 0xff]),
    ("u64 g", 8, false, [0x21, 0x43, 0x65, 0x87, 0xa9, 0xcb, 0xed, 0xff]),
    ("s64 h", 8, true, [0xfe] + [UInt8](repeating: 0xff, count: 7)), ("char i[8]", 8, false, Array("guest\0xx".utf8)),
    ("u8 j[4]", 4, false, [0x0f, 0x22, 0xc0, 0xec]), ("u32 k[2]", 8, false, [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
    ("unsigned long l[2]", 16, false, [0x0f, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]),
    ("u8 m[16]", 16, false, [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ("__data_loc char[] n", 4, false, []), ("__rel_loc char[] o", 4, false, []), ("bool p", 1, false, [1]),
    ("bool q", 1, false, [0]), ("__data_loc u32[] r", 4, false, []),
  ]

  /// The format with this print format, and a record for it.
  static func format(_ printFormat: String, machine: RecordingMachine = .amd64) throws -> (EventFormat, [UInt8]) {
    var text = "name: e\nID: 7\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n"
    var record = [UInt8](repeating: 0, count: 8)
    for field in fields {
      text +=
        "\tfield:\(field.declaration);\toffset:\(record.count);\tsize:\(field.size);\tsigned:\(field.isSigned ? 1 : 0);\n"
      let bytes = field.bytes + [UInt8](repeating: 0, count: field.size - field.bytes.count)
      record += machine.byteOrder == .bigEndian && !field.declaration.contains("[") ? bytes.reversed() : bytes
    }
    let format = try EventFormat(parsing: text + "\nprint fmt: " + printFormat, system: "s", machine: machine)
    func locate(_ name: String, _ data: [UInt8], relative: Bool = false) {
      guard let field = format.field(name) else { return }
      let start = relative ? record.count - field.offset - 4 : record.count
      let word = [UInt8(start & 0xff), UInt8(start >> 8), UInt8(data.count), 0]
      record.replaceSubrange(
        field.offset..<(field.offset + 4), with: machine.byteOrder == .bigEndian ? word.reversed() : word)
      record += data
    }
    locate("n", Array("hello\0".utf8))
    locate("o", Array("there\0".utf8), relative: true)
    locate("r", [1, 0, 0, 0, 2, 0, 0, 0])
    return (format, record)
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var format: String
    var text: String
    var testDescription: String { format }
    init(_ format: String, _ text: String) {
      self.format = format
      self.text = text
    }
  }

  static let conversions: [Case] = [
    Case(#""plain 100%%""#, "plain 100%"), Case(#""a" "b" "\t\"\x41\101""#, "ab\t\"AA"),
    Case(#""%d %u %x %X %o", REC->a, REC->a, REC->a, REC->a, REC->a"#, "254 254 fe FE 376"),
    Case(#""%d %u %x %lx %llx", REC->b, REC->b, REC->b, REC->b, REC->b"#, "-2 4294967294 fffffffe fffffffe fffffffe"),
    Case(#""%hx %hhx %hd %hhd", REC->b, REC->b, REC->c, REC->c"#, "fffe fe -2 -2"),
    Case(#""%d %u %ld", REC->e, REC->e, REC->e"#, "-2 4294967294 4294967294"),
    Case(#""%d %u %lld", REC->f, REC->f, REC->f"#, "-2 4294967294 4294967294"),
    Case(
      #""%llx %Lx %lx %x %d", REC->g, REC->g, REC->g, REC->g, REC->g"#,
      "ffedcba987654321 ffedcba987654321 ffedcba987654321 87654321 -2023406815"),
    Case(#""%lld %llu %d", REC->h, REC->h, REC->h"#, "-2 18446744073709551614 -2"),
    Case(#""%5d|%-5d|%05d|%+d|% d", REC->a, REC->a, REC->a, REC->a, REC->a"#, "  254|254  |00254|+254| 254"),
    Case(#""%5d|%-5d|%05d", REC->b, REC->b, REC->b"#, "   -2|-2   |-0002"),
    Case(
      #""%#x %#lx %#010x %#8x %-#8x|", REC->a, REC->g, REC->a, REC->a, REC->a"#,
      "0xfe 0xffedcba987654321 0x000000fe     0xfe 0xfe    |"),
    Case(#""%#x %#o %#016lx", REC->q, REC->q, REC->a"#, "0x0 0 0x000000000000fe"),
    Case(#""%016llx %08x %04x %02x", REC->a, REC->a, REC->g, REC->a"#, "00000000000000fe 000000fe 87654321 fe"),
    Case(#""%.5d|%8.5d|%-8.5d|%.3x", REC->a, REC->a, REC->a, REC->a"#, "00254|   00254|00254   |0fe"),
    Case(#""%*d|%-*d|%.*d|%*d", 6, REC->a, 6, REC->a, 5, REC->a, -6, REC->a"#, "   254|254   |00254|254   "),
    Case(#""%zu %zd %tx %jx", REC->a, REC->b, REC->a, REC->a"#, "254 4294967294 fe fe"),
    Case(#""%c%c", 'A', 0x42"#, "AB"),
    Case(#""%s|%8s|%-8s|%.3s|%*s", REC->i, REC->i, REC->i, REC->i, 7, REC->i"#, "guest|   guest|guest   |gue|  guest"),
    Case(#""%s %s", __get_str(n), __get_rel_str(o)"#, "hello there"),
    Case(#""%.*s", 2, __get_str(n)"#, "he"),
    Case(#""%s", (char *)__get_dynamic_array(n)"#, "hello"),
    Case(#""%d", __get_dynamic_array_len(n)"#, "6"),
    Case(#""%p %p %px", (void *)REC->g, (void *)0, REC->a"#, "0xffedcba987654321 (nil) 0xfe"),
    Case(#""%ps %pS %8ps|", REC->a, REC->a, REC->a"#, "f_fe f_fe+0x1     f_fe|"),
    Case(#""%pS", REC->q"#, "0x0"),
    Case(#""%pI4 %pi4", REC->j, &REC->j"#, "15.34.192.236 015.034.192.236"),
    Case(
      #""%pI6c %pI6 %pi6", REC->m, REC->m, REC->m"#,
      "fe80::1 fe80:0000:0000:0000:0000:0000:0000:0001 fe800000000000000000000000000001"),
    Case(#""%pM", REC->m"#, "fe:80:00:00:00:00"),
    Case(#""%pUb %pUL", REC->m, REC->m"#, "fe800000-0000-0000-0000-000000000001 000080FE-0000-0000-0000-000000000001"),
    Case(#""%*ph %4phN", 2, REC->j, REC->j"#, "0f 22 0f22c0ec"),
    Case(#""%*pb %*pbl", 128, REC->l, 128, REC->l"#, "80000000,00000000,00000001,0000000f 0-3,32,127"),
    Case(#""%s", __get_bitmask(n)"#, "006f,6c6c6568"),
  ]

  static let expressions: [Case] = [
    Case(#""%d", 1 + 2 * 3 - 10 / 4 % 3"#, "5"), Case(#""%d", (1 + 2) * 3"#, "9"), Case(#""%d", 2 - 3 - 4"#, "-5"),
    Case(#""%d", 1 << 2 + 1"#, "8"), Case(#""%d", 6 & 3 == 3"#, "0"), Case(#""%d", 1 | 6 ^ 2 & 3"#, "5"),
    Case(#""%d", 0 || 1 && 0"#, "0"), Case(#""%d", !0 + ~0 + -1"#, "-1"), Case(#""%d", 1 ? 2 : 0 ? 3 : 4"#, "2"),
    Case(#""%d", REC->q ? 1 : REC->p ? 2 : 3"#, "2"), Case(#""%d", REC->p ?: 5"#, "1"),
    Case(#""%d", REC->p && REC->q"#, "0"), Case(#""%d", REC->p || REC->q"#, "1"), Case(#""%d", REC->a && REC->b"#, "1"),
    Case(#""%d", !REC->a"#, "0"), Case(#""%d", -REC->a"#, "-254"), Case(#""%d", ~REC->a"#, "-255"),
    Case(#""%lx", ~REC->e"#, "1"), Case(#""%lx", ~(u64)REC->e"#, "ffffffff00000001"),
    Case(#""%d %d", REC->b < 0, REC->a < 0"#, "1 0"), Case(#""%d %d", REC->f == -2, REC->e == -2"#, "1 1"),
    Case(#""%d", REC->f < REC->e + 1"#, "1"), Case(#""%d", REC->f < 1U"#, "0"), Case(#""%d", REC->f < 1L"#, "1"),
    Case(#""%d", REC->f < 1UL"#, "0"), Case(#""%d %d", REC->h >> 1, (unsigned long)REC->h >> 63"#, "-1 1"),
    Case(#""%lx", REC->e << 4"#, "ffffffe0"), Case(#""%lx", (u64)REC->e << 4"#, "fffffffe0"),
    Case(#""%lx", 1UL << 40"#, "10000000000"), Case(#""%lx", 0x80000000"#, "80000000"),
    Case(#""%ld", 2147483648"#, "2147483648"),
    Case(#""%x %x", (u8)(REC->g >> 8), (u16)REC->g"#, "43 4321"),
    Case(#""%d %d", (s8)REC->a, (int)REC->g"#, "-2 -2023406815"),
    Case(#""%d", (signed char)REC->a"#, "-2"), Case(#""%lx", (unsigned long)REC->f"#, "fffffffffffffffe"),
    Case(#""%lx", (unsigned int)REC->g & 0xffff0000"#, "87650000"), Case(#""%d", REC->b / 2"#, "-1"),
    Case(#""%u", REC->e / 2"#, "2147483647"), Case(#""%d %d", REC->b % 3, REC->a % 0"#, "-2 0"),
    Case(#""%lu %lu %lu", sizeof(u64), sizeof(REC->k), sizeof(long)"#, "8 8 8"),
    Case(#""%x %x", REC->k[1], REC->k[REC->q]"#, "ffffffff 1"),
    Case(#""%d", __builtin_expect(!!(REC->p), 1)"#, "1"),
    Case(#""%llu.%09u", __print_ns_to_secs(12000000034), __print_ns_without_secs(12000000034)"#, "12.000000034"),
    Case(#""%d %d", true, false"#, "1 0"), Case(#""%d", (REC)->a"#, "254"), Case(#""%d", 017 + 0x1F"#, "46"),
  ]

  static let names: [Case] = [
    Case(#""%s %s", REC->p ? "yes" : "no", REC->q ? "yes" : "no""#, "yes no"),
    Case(#""[%5s|%-5s]", REC->p ? "yes" : "no", REC->q ? "yes" : "no""#, "[  yes|no   ]"),
    Case(#""%s", REC->q ? "a" : REC->a == 254 ? "b" : "c""#, "b"),
    Case(#""%s", __print_symbolic(REC->p, { 0, "zero" }, { 1, "one" }, { 1, "uno" })"#, "one"),
    Case(#""%s", __print_symbolic(REC->a, { 0, "zero" })"#, "0xfe"),
    Case(#""%s", __print_symbolic(REC->a, { })"#, "0xfe"),
    Case(#""%s", __print_symbolic(REC->a, {0x100 - 1 - 1, "many" })"#, "many"),
    Case(#""%s", __print_symbolic(REC->f, { -2, "minus two" })"#, "minus two"),
    Case(#""%s", __print_symbolic(REC->e, { -2, "minus two" })"#, "0xfffffffe"),
    Case(#""%s", __print_symbolic(REC->e, { 0, "a" }, { 0xfffffffe, "far" })"#, "far"),
    Case(#""%s", __print_symbolic(REC->p, { UNKNOWN_NAME, "none" }, { (1 << OTHER), "x" }, { 1, "one" })"#, "one"),
    Case(#""%s", __print_symbolic(REC->p, { 1, "one" }, { 0, ((void *)0) })"#, "one"),
    Case(#""%s", __print_flags(REC->a, "|", { 2, "b" }, { 4, "c" }, { 0xf8, "rest" })"#, "b|c|rest"),
    Case(#""%s", __print_flags(REC->a, "|", { 2, "b" }, { 0x300, "no" })"#, "b|0xfc"),
    Case(#""%s", __print_flags(REC->q, "|", { 0, "none" }, { 1, "a" })"#, ""),
    Case(#""%s", __print_flags(REC->p, "|", { 0, "none" }, { 1, "a" })"#, "none|a"),
    Case(#""%s", __print_flags(REC->p, "", { 1, "a" })"#, "a"),
    Case(#""<%4s>", __print_flags(REC->p, "|", { 1, "a" })"#, "<   a>"),
    Case(#""%s %s", __print_hex(REC->j, 3), __print_hex_str(REC->j, sizeof(REC->j))"#, "0f 22 c0 0f22c0ec"),
    Case(#""%s|%s", __print_hex(REC->j, 0), __print_hex(REC->j, 200)"#, "|0f 22 c0 ec"),
    Case(#""%s", __print_array(REC->k, 2, sizeof(u32))"#, "{0x1,0xffffffff}"),
    Case(
      #""%s", __print_array(__get_dynamic_array(r), __get_dynamic_array_len(r) / sizeof(u32), sizeof(u32))"#,
      "{0x1,0x2}"),
    Case(#""%s", __print_dynamic_array(r, 4)"#, "{0x1,0x2}"),
    Case(
      #""%s %s", ({ const char *s = trace_seq_buffer_ptr(p); static const char *t[] = { "---", "--x" }; "#
        + #"union kvm_mmu_page_role role; role.word = REC->e; trace_seq_printf(p, "l%u %s%c", role.level, "#
        + #"t[role.direct], 0); s; }), "end""#, "l14 --x end"),
  ]

  static var symbols: PrintSymbols {
    PrintSymbols(symbol: { $0 == 0 ? nil : ("f_\(String($0, radix: 16))", 1) }, text: { _ in nil })
  }

  @Test(arguments: conversions + expressions + names)
  func evaluates(_ test: Case) throws {
    let (format, record) = try Self.format(test.format)
    #expect(printed(try PrintFormat(format, symbols: Self.symbols), record) == test.text)
  }

  @Test(arguments: [
    Case(#""%d %d %x %llx %ld", REC->b, REC->d, REC->e, REC->g, REC->f"#, "-2 -2 fffffffe ffedcba987654321 -2"),
    Case(#""%s %s %d", __get_str(n), __get_rel_str(o), __get_dynamic_array_len(n)"#, "hello there 6"),
    Case(#""%lx %lu", REC->g, sizeof(long)"#, "87654321 4"), Case(#""%lx", 1UL << 31"#, "80000000"),
  ])
  func readsARecordingOfA32BitBigEndianMachine(_ test: Case) throws {
    let (format, record) = try Self.format(test.format, machine: RecordingMachine(byteOrder: .bigEndian, longSize: 4))
    #expect(printed(try PrintFormat(format), record) == test.text)
  }

  @Test(
    arguments: [
      ("", .noFormatString), (#""a"#, .unterminatedString), (#""%d""#, .missingArgument), (#""%d","#, .unexpectedEnd),
      (#""%d", REC->nothing"#, .unknownField("nothing")), (#""%d", CONSTANT"#, .unknownName("CONSTANT")),
      (#""%d", jiffies_to_msecs(1)"#, .unknownFunction("jiffies_to_msecs")),
      (#""%d", (struct foo)1"#, .unknownType("struct foo")),
      (#""%pV", REC->g"#, .unknownConversion("%pV")), (#""%y", 1"#, .unknownConversion("%y")),
      (#""%d", 1 +"#, .unexpectedEnd), (#""%d", (1"#, .unexpectedEnd), (#""%d", 1)"#, .unexpected("')'")),
      (#""%d", "text""#, .mismatch("a number")), (#""%s", __print_hex(1, 2)"#, .mismatch("data")),
      (#""%d", "# + String(repeating: "(", count: 5000), .tooComplex),
      (#""%d", "# + String(repeating: "!", count: 5000), .tooComplex),
      (#""%d", REC->a"# + String(repeating: "+REC->a", count: 5000), .tooComplex),
      (#""%d", "# + String(repeating: "REC->a+(", count: 200) + "1" + String(repeating: ")", count: 200), .tooComplex),
    ] as [(String, PrintFormatError.Problem)])
  func saysWhatItCannotEvaluate(text: String, problem: PrintFormatError.Problem) throws {
    let (format, _) = try Self.format(text)
    do throws(PrintFormatError) {
      _ = try PrintFormat(format)
      Issue.record("it compiles")
    } catch {
      #expect(error.problem == problem)
    }
  }

  @Test(arguments: conversions + expressions + names)
  func survivesACutOrChangedFormat(_ test: Case) throws {
    let bytes = Array(test.format.utf8)
    for index in 0..<bytes.count {
      var changed = bytes
      changed[index] = [0x28, 0x25, 0x22, 0x2a, 0x7d, 0x39][index % 6]
      for text in [bytes[..<index], changed[...]] {
        let (format, record) = try Self.format(String(decoding: text, as: UTF8.self))
        if let print = try? PrintFormat(format) { _ = printed(print, record) }
      }
    }
  }

  /// A width that a record says is no order to fill the memory.
  @Test(arguments: ["%0*d", "%*d", "%-*d", "%.*d", "%*s", "%*phN", "%*pb"])
  func boundsTheWidthsThatARecordSays(conversion: String) throws {
    for width in ["2147483647", "REC->e", "REC->g", "-2147483648"] {
      let argument = conversion.contains("d") ? "REC->a" : conversion.contains("s") ? "REC->i" : "REC->j"
      let (format, record) = try Self.format("\"\(conversion)\", \(width), \(argument)")
      let text = try #require(printed(try PrintFormat(format), record))
      #expect(text.utf8.count <= 1024)
    }
  }

  @Test func stopsWhereARecordEnds() throws {
    let (format, record) = try Self.format(#""%s and %d", __get_str(n), REC->a"#)
    let print = try PrintFormat(format)
    #expect(printed(print, record) == "hello and 254")
    for length in 0..<record.count {
      let text = printed(print, Array(record[..<length]))
      #expect(text == nil || text == "hello and 254")
    }
  }

  @Test func printsFieldsWhereTheFormatCannotBeEvaluated() throws {
    let (format, record) = try Self.format("")
    var buffer = TextBuffer()
    format.printFields(of: record.span.record, into: &buffer)
    #expect(buffer.string.hasPrefix("a=254 b=-2 c=65534 d=-2 e=4294967294 f=-2 g="))
    #expect(buffer.string.contains(" i=guest j=[0f 22 c0 ec] "))
    #expect(buffer.string.contains(" n=hello o=there "))
  }
}

@Suite struct TextBufferTests {
  @Test(arguments: [0, 1, 9, 10, 99, 100, 12345, UInt64(UInt32.max), 1 << 63, .max])
  func writesNumbers(value: UInt64) {
    var buffer = TextBuffer(capacity: 0)
    for _ in 0..<50 {
      buffer.removeAll()
      buffer.appendDecimal(value)
      buffer.append(UInt8(ascii: " "))
      buffer.appendHexadecimal(value)
      buffer.append(UInt8(ascii: " "))
      buffer.appendHexadecimal(value, width: 16)
      buffer.append(UInt8(ascii: " "))
      buffer.appendDecimal(Int64(bitPattern: value))
      buffer.append(UInt8(ascii: " "))
      buffer.appendDecimal(value, width: 6, padding: UInt8(ascii: " "))
      let hexadecimal = String(value, radix: 16)
      let decimal = String(value)
      #expect(
        buffer.string
          == [
            decimal, hexadecimal, String(repeating: "0", count: 16 - hexadecimal.count) + hexadecimal,
            String(Int64(bitPattern: value)), String(repeating: " ", count: max(0, 6 - decimal.count)) + decimal,
          ].joined(separator: " "))
    }
  }

  @Test func growsAndKeepsWhatItHolds() {
    var buffer = TextBuffer(capacity: 1)
    var expected = ""
    for index in 0..<2000 {
      buffer.appendDecimal(UInt64(index))
      buffer.append(", ")
      expected += "\(index), "
    }
    #expect(buffer.string == expected)
    buffer.truncate(to: 3)
    #expect(buffer.string == "0, ")
    buffer.append(repeating: UInt8(ascii: "x"), count: 3)
    #expect(buffer.string == "0, xxx")
  }
}
