import SeededRandom
import Testing
import X86

@testable import GuestImage

@Suite struct HostileDWARFTests {
  static let address = LinearAddress(0x100008)

  @Test(arguments: [
    ("a function", 0, 0, ["f"]),
    ("one in as many namespaces as are searched", 0, 63, ["f"]),
    ("one in more", 0, 64, []),
    ("one in very many", 0, 200_000, []),
    ("as many inlined ones as are given", 63, 0, [String](repeating: "f", count: 64)),
    ("very many", 200_000, 0, [String](repeating: "f", count: 64)),
  ])
  func goesOnlySoDeep(name: String, inlined: Int, namespaces: Int, functions: [String]) throws {
    var dwarf = DWARFBytes()
    for _ in 0..<namespaces { dwarf.namespace() }
    let function = dwarf.subprogram("f")
    for _ in 0..<inlined { dwarf.inlined(origin: function) }
    let frames = try GuestImage(dwarf.file).frames(at: Self.address)
    #expect(frames.map(\.function) == functions)
    #expect(frames.map(\.isInlined).filter { $0 }.count == min(inlined, 64))
  }

  @Test(arguments: [("itself", 0), ("nothing", 0xFFFF_FFFF), ("the middle of an entry", -2)])
  func doesWithoutANameWhoseOriginIs(_ name: String, distance: Int) throws {
    var dwarf = DWARFBytes()
    _ = dwarf.subprogram("f")
    dwarf.inlined(origin: dwarf.end + distance)
    let frames = try GuestImage(dwarf.file).frames(at: Self.address)
    #expect(frames.map(\.function) == [nil, "f"])
  }

  @Test func ignoresASiblingThatIsBefore() throws {
    var dwarf = DWARFBytes()
    let function = dwarf.subprogram("f")
    dwarf.label(sibling: dwarf.end)
    dwarf.label(sibling: function)
    dwarf.inlined(origin: function)
    let frames = try GuestImage(dwarf.file).frames(at: Self.address)
    #expect(frames.map(\.function) == ["f"])
  }

  @Test func survivesDamage() throws {
    let file = try Fixtures.bytes(Fixtures.inlined)
    var random = SeededGenerator(seed: 64)
    var described = 0
    for _ in 0..<4000 {
      var broken = file
      // What is before is the ELF header, the program header and the code.
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        broken[Int.random(in: 0xD3..<file.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      guard let image = try? GuestImage(broken) else { continue }
      for address in [0x10_0000, 0x10_0013, 0x10_0021, 0x10_003A, 0x10_0051] as [UInt64] {
        let frames = image.frames(at: LinearAddress(address))
        #expect(frames.count <= 64)
        described += frames.isEmpty ? 0 : 1
      }
    }
    #expect(described > 10_000)
  }
}

/// An ELF file of 16 bytes of code with DWARF 4 as one makes it up: each entry is in the one before it.
private struct DWARFBytes {
  private static let start: UInt64 = 0x100000
  private static let size: UInt64 = 16

  /// Abbreviations 1 to 5, by code, tag, whether there are children, and attributes with their forms.
  private static let abbreviations: [UInt8] = [
    1, 0x11, 1, 0x11, 0x01, 0x12, 0x07, 0, 0,  // compile unit: low_pc, high_pc
    2, 0x2E, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0,  // subprogram: name, low_pc, high_pc
    3, 0x1D, 1, 0x31, 0x13, 0x11, 0x01, 0x12, 0x07, 0, 0,  // inlined subroutine: abstract_origin, low_pc, high_pc
    4, 0x39, 1, 0, 0,  // namespace
    5, 0x0A, 0, 0x01, 0x13, 0, 0,  // label: sibling
    0,
  ]

  /// The unit without its length: version, offset of the abbreviations, size of an address, and the entries.
  private var unit: [UInt8] = [4, 0, 0, 0, 0, 0, 8]

  init() {
    unit.append(1)
    appendRange()
  }

  /// Where the next entry will be, from the start of the unit.
  var end: Int { 4 + unit.count }

  mutating func namespace() { unit.append(4) }

  /// Returns where it is.
  mutating func subprogram(_ name: String) -> Int {
    let offset = end
    unit.append(2)
    unit += Array(name.utf8) + [0]
    appendRange()
    return offset
  }

  mutating func inlined(origin: Int) {
    unit.append(3)
    unit += Self.little(UInt64(origin), bytes: 4)
    appendRange()
  }

  mutating func label(sibling: Int) {
    unit.append(5)
    unit += Self.little(UInt64(sibling), bytes: 4)
  }

  private mutating func appendRange() {
    unit += Self.little(Self.start, bytes: 8) + Self.little(Self.size, bytes: 8)
  }

  private static func little(_ value: UInt64, bytes: Int) -> [UInt8] {
    (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// The ELF header, a program header, the code, .debug_abbrev, .debug_info, .shstrtab and the section headers.
  var file: [UInt8] {
    let names = Array("\0.debug_abbrev\0.debug_info\0.shstrtab\0".utf8)
    let info = Self.little(UInt64(unit.count), bytes: 4) + unit
    let contents: [(name: Int, type: Int, bytes: [UInt8])] = [
      (1, 1, Self.abbreviations), (15, 1, info), (27, 3, names),
    ]
    var file = ELFBytes.header(imageClass: 2, machine: 62, type: 2)
    file += Self.little(0x5_0000_0001, bytes: 8) + Self.little(120, bytes: 8)
    for field in [Self.start, Self.start, Self.size, Self.size, 1] { file += Self.little(field, bytes: 8) }
    file += ELFBytes.zeroes(Int(Self.size))
    var headers = ELFBytes.zeroes(64)
    for section in contents {
      let fields = [0, 0, UInt64(file.count), UInt64(section.bytes.count), 0, 1, 0]
      headers += Self.little(UInt64(section.name), bytes: 4) + Self.little(UInt64(section.type), bytes: 4)
      headers += fields.flatMap { Self.little($0, bytes: 8) }
      file += section.bytes
    }
    file += ELFBytes.zeroes((8 - file.count % 8) % 8)
    file.replaceSubrange(32..<48, with: Self.little(64, bytes: 8) + Self.little(UInt64(file.count), bytes: 8))
    file.replaceSubrange(54..<64, with: [56, 0, 1, 0, 64, 0, 4, 0, 3, 0])
    return file + headers
  }
}
