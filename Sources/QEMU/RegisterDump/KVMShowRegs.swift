import X86

/// The registers as qemu-kvm printed them until it became part of QEMU 1.3 (qemu-kvm-x86.c: kvm_show_regs, 0.12; still that of RHEL 6 and
/// SmartOS): names in lower case before values without `=`, always in the same order, so that broken lines do not matter.
///
///     rax 0000000000000000 rbx 0000000000000048 rcx 00000000000001a6 rdx 00000000006a3c8a
///     rip 00000000003d721c rflags 00000006
///     cs 0008 (00000000/ffffffff p 1 dpl 0 db 0 s 1 type b l 1 g 1 avl 0)
///     gdt a25000/1f
///     cr0 80010011 cr2 0 cr3 eae000 cr4 7b8 cr8 0 efer d00
struct KVMShowRegs {
  private(set) var dump: RegisterDump
  /// The items that are still to come, the next one last.
  private var awaited: [Item]
  /// The name of the next item was read, its value is in the next line.
  private var hasName = false
  private var segment: PartialSegment?

  private enum Item: Hashable {
    case number(RegisterDump.Register, String)
    case segment(RegisterDump.SegmentRegister)
    case table(RegisterDump.DescriptorTable)
    case cr8

    var name: String {
      switch self {
      case .number(_, let name): name
      case .segment(let segment): segment.rawValue.lowercased()
      case .table(let table): table.rawValue.lowercased()
      case .cr8: "cr8"
      }
    }
  }

  /// A segment whose fields are being read.
  private struct PartialSegment {
    var words: [String]
  }

  private static let items: [Item] = {
    let general: [RegisterDump.Register] = [
      .rax, .rbx, .rcx, .rdx, .rsi, .rdi, .rsp, .rbp, .r8, .r9, .r10, .r11, .r12, .r13, .r14, .r15, .rip,
    ]
    let segments: [RegisterDump.SegmentRegister] = [.cs, .ds, .es, .ss, .fs, .gs, .tr, .ldtr]
    return general.map { .number($0, $0.rawValue.lowercased()) } + [.number(.rflags, "rflags")]
      + segments.map { .segment($0) } + [.table(.gdtr), .table(.idtr)]
      + ([.cr0, .cr2, .cr3, .cr4] as [RegisterDump.Register]).map { .number($0, $0.rawValue.lowercased()) }
      + [.cr8, .number(.efer, "efer")]
  }()

  /// The words of a segment behind its selector: `(BASE/LIMIT`, and eight names with their values.
  private static let segmentFields = ["p", "dpl", "db", "s", "type", "l", "g", "avl"]

  /// A line that begins such a dump: `rax` with 16 digits and `rbx` behind it.
  init?(_ line: LogLine) {
    dump = RegisterDump(lines: line.number...line.number)
    dump.width = .bits64
    awaited = Self.items.reversed()
    let words = Self.words(of: line)
    guard words.count >= 3, words[0] == "rax", words[1].utf8.count == 16, words[2] == "rbx", take(line) else {
      return nil
    }
  }

  /// Whether all was read.
  var isComplete: Bool { awaited.isEmpty }

  private static func words(of line: LogLine) -> [String] {
    line.bytes.split(whereSeparator: Byte.isBlank).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Takes one more line; false where it does not go on with the dump.
  mutating func take(_ line: LogLine) -> Bool {
    guard !isComplete else { return false }
    if line.bytes.isEmpty { return true }
    for word in Self.words(of: line) {
      guard let item = awaited.last, take(word, of: item, line: line.number) else { return false }
    }
    dump.lines = dump.lines.lowerBound...line.number
    return true
  }

  private mutating func take(_ word: String, of item: Item, line: Int) -> Bool {
    guard hasName else {
      hasName = word == item.name
      return hasName
    }
    switch item {
    case .cr8: break
    case .number(let register, _):
      guard let value = UInt64(word, radix: 16) else { return false }
      dump.registers[register] = .init(value, line: line)
    case .table(let table):
      let parts = word.split(separator: "/").map { UInt64($0, radix: 16) }
      guard parts.count == 2, let base = parts[0], let limit = parts[1].flatMap(UInt16.init(exactly:)) else {
        return false
      }
      dump.descriptorTables[table] = .init(.init(base: LinearAddress(base), limit: limit), line: line)
    case .segment(let register):
      segment = PartialSegment(words: (segment?.words ?? []) + [word])
      guard let words = segment?.words, words.count == 2 + 2 * Self.segmentFields.count else { return true }
      guard let whole = Self.segment(words) else { return false }
      dump.segments[register] = .init(whole, line: line)
      segment = nil
    }
    hasName = false
    awaited.removeLast()
    return true
  }

  /// `0008 (00000000/ffffffff p 1 dpl 0 db 0 s 1 type b l 1 g 1 avl 0)`.
  private static func segment(_ words: [String]) -> Segment? {
    let place = words[1].dropFirst().split(separator: "/").map { UInt64($0, radix: 16) }
    guard let selector = UInt16(words[0], radix: 16), words[1].first == "(", place.count == 2, let base = place[0],
      let limit = place[1].flatMap(UInt32.init(exactly:))
    else { return nil }
    var values: [UInt32] = []
    for (index, name) in segmentFields.enumerated() {
      let value = words[3 + 2 * index].filter { $0 != ")" }
      guard words[2 + 2 * index] == name, let number = UInt32(value, radix: 16), number <= 0xF else { return nil }
      values.append(number)
    }
    let shifts: [UInt32] = [15, 13, 22, 12, 8, 21, 23, 20]
    let attributes = zip(values, shifts).reduce(UInt32(0)) { $0 | $1.0 << $1.1 }
    return Segment(
      selector: SegmentSelector(rawValue: selector), base: base, limit: limit,
      attributes: SegmentAttributes(rawValue: attributes))
  }
}
