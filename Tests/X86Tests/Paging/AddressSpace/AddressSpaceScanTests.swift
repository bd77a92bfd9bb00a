import SeededRandom
import Testing
import X86

/// Keeps all that a scan shows.
struct Collector: AddressSpaceVisitor {
  var ranges: [MappedRange] = []
  var findings: [TableFinding] = []

  mutating func visit(_ range: MappedRange) { ranges.append(range) }
  mutating func visit(_ finding: TableFinding) { findings.append(finding) }
}

extension Paging {
  /// All that a scan shows, and how it ended.
  func collected(in memory: some PhysicalMemory, tableLimit: Int = 1 << 12) -> (Collector, AddressSpaceScanEnd) {
    var collector = Collector()
    let end = scan(in: memory, tableLimit: tableLimit, visitor: &collector)
    return (collector, end)
  }
}

@Suite("Scans of an address space")
struct AddressSpaceScanTests {
  static let paging = Paging(
    mode: .fourLevel, cr3: 0x1000,
    rules: PagingRules(
      hasGiBPages: false, maximumPhysicalAddressBits: 40, executeDisableEnabled: true, isAMD: false,
      fourMiBPageAddressBits: 40), protection: PageProtection(cr0: .writeProtect, cr4: [], rflags: []))

  /// 0x1000 PML4, 0x2000 PDPT, 0x3000 PD, 0x4000 PT.
  static func memory(_ words: [UInt64: UInt64]) -> WordMemory {
    var memory = WordMemory()
    for table in UInt64(1)...4 { for index in UInt64(0)..<512 { memory[table << 12 | index << 3] = 0 } }
    for (table, entry) in [(UInt64(0x1000), UInt64(0x2007)), (0x2000, 0x3007), (0x3000, 0x4007)] {
      memory[table] = entry
    }
    for (address, word) in words { memory[address] = word }
    return memory
  }

  @Test("neighbours are one range, whatever their accessed and dirty bits", arguments: [UInt64(0), 0x60, 0xE00])
  func merging(ignored: UInt64) throws {
    var words: [UInt64: UInt64] = [:]
    for index in UInt64(0)..<512 { words[0x4000 | index << 3] = index << 12 | 3 | (index % 2 == 0 ? ignored : 0) }
    // The next 2 MiB page goes on where the 4 KiB pages end, and is a range of its own.
    words[0x3008] = 0x20_0083
    let (found, end) = Self.paging.collected(in: Self.memory(words))
    #expect(end == .complete)
    #expect(found.findings.isEmpty)
    let attributes = PageAttributes()
    #expect(
      found.ranges == [
        MappedRange(
          start: LinearAddress(0), size: 0x20_0000, physicalStart: PhysicalAddress(0), pageSize: 0x1000,
          rights: [.write, .execute], attributes: attributes),
        MappedRange(
          start: LinearAddress(0x20_0000), size: 0x20_0000, physicalStart: PhysicalAddress(0x20_0000),
          pageSize: 0x20_0000, rights: [.write, .execute], attributes: attributes),
      ])
  }

  @Test(
    "what differs starts a new range",
    arguments: [
      ("physical address", 0x1000), ("RW", 1 << 1), ("US", 1 << 2), ("PWT", 1 << 3), ("PCD", 1 << 4), ("PAT", 1 << 7),
      ("G", 1 << 8), ("XD", 1 << 63),
    ] as [(String, UInt64)])
  func splitting(name: String, bit: UInt64) {
    let words: [UInt64: UInt64] = [0x4000: 0x10_0003, 0x4008: 0x10_1003 ^ bit, 0x4010: 0x10_2003]
    let (found, _) = Self.paging.collected(in: Self.memory(words))
    #expect(found.ranges.map(\.size) == [0x1000, 0x1000, 0x1000], "\(name)")
  }

  @Test("a run ends where its addresses become reserved")
  func runIntoReservedBits() {
    let words: [UInt64: UInt64] = [0x4000: 0xFF_FFFF_E003, 0x4008: 0xFF_FFFF_F003, 0x4010: 0x100_0000_0003]
    let (found, _) = Self.paging.collected(in: Self.memory(words))
    #expect(found.ranges.map(\.size) == [0x2000])
    #expect(found.findings.map(\.start.rawValue) == [0x2000])
    #expect(found.findings.map(\.entryAddress.rawValue) == [0x4010])
  }

  @Test("the upper half is canonical, and comes last")
  func upperHalf() {
    let words: [UInt64: UInt64] = [0x1000 + 8 * 511: 0x2003, 0x4000: 0x3]
    let (found, _) = Self.paging.collected(in: Self.memory(words))
    #expect(found.ranges.map(\.start.rawValue) == [0, 0xFFFF_FF80_0000_0000])
  }

  @Test("a definite reserved bit maps nothing; a possible one is reported and maps")
  func reservedBits() throws {
    let memory = Self.memory([0x2008: 0x4000_0083])
    let (refused, _) = Self.paging.collected(in: memory)
    #expect(refused.ranges.isEmpty)
    let finding = try #require(refused.findings.first)
    #expect(finding.structure == .pageDirectoryPointerTable && finding.index == 1 && finding.span == 1 << 30)
    var paging = Self.paging
    paging.rules.hasGiBPages = nil
    let (doubted, _) = paging.collected(in: memory)
    #expect(doubted.ranges.map(\.physicalStart.rawValue) == [0x4000_0000])
    #expect(doubted.findings.count == 1)
  }

  @Test("a self-map is reported once, and what lies behind it is marked")
  func selfMap() throws {
    let (found, end) = Self.paging.collected(in: Self.memory([0x1000 + 8 * 510: 0x1003, 0x4000: 0x5003]))
    #expect(end == .complete)
    #expect(found.findings.map(\.kind) == [.selfMap])
    #expect(found.findings.map(\.start.rawValue) == [0xFFFF_FF00_0000_0000])
    let tables = found.ranges.filter(\.isThroughSelfMap).map(\.physicalStart.rawValue)
    #expect(Set(tables) == [0x1000, 0x2000, 0x3000, 0x4000])
    #expect(found.ranges.filter { !$0.isThroughSelfMap }.map(\.physicalStart.rawValue) == [0x5000])
  }

  @Test("tables that only lead to each other end at the limit")
  func limit() {
    var memory = WordMemory()
    for index in UInt64(0)..<512 { memory[0x1000 | index << 3] = 0x1003 }
    let (_, end) = Self.paging.collected(in: memory, tableLimit: 100)
    guard case .tooManyTables = end else {
      Issue.record("\(end)")
      return
    }
  }

  @Test("a table that is missing is a finding, one that is missing in part is gone through")
  func missingTables() throws {
    var memory = Self.memory([0x3008: 0x9003, 0x3010: 0xA003])
    for index in UInt64(0)..<256 { memory[0xA000 | index << 3] = 0x3 | index << 12 }
    let (found, end) = Self.paging.collected(in: memory)
    #expect(end == .complete)
    #expect(found.findings.map(\.start.rawValue) == [0x20_0000, 0x40_0000])
    #expect(found.ranges.map(\.size) == [256 << 12])
    guard case .tableUnavailable(let missing) = try #require(found.findings.last).kind else {
      Issue.record("another finding")
      return
    }
    #expect(missing.address.rawValue == 0xA800)
  }

  @Test("a root that is missing ends the scan")
  func missingRoot() {
    let (_, end) = Self.paging.collected(in: WordMemory(missing: .unbacked))
    #expect(
      end == .rootUnavailable(UnavailableMemory(address: PhysicalAddress(0x1000), reason: .unbacked)))
  }

  /// In random tables of every mode: wherever a walk arrives a range must be, and it must say the same; and nowhere else.
  @Test("agrees with walks", arguments: PagingMode.allCases.filter { $0 != .none }, [false, true])
  func agreement(mode: PagingMode, largePages: Bool) throws {
    var generator = SeededGenerator(seed: UInt64(mode.levels) * 2 + (largePages ? 1 : 0))
    for _ in 0..<6 {
      let memory = RandomTablesTests.memory(using: &generator)
      let paging = Paging(
        mode: mode, cr3: UInt64.random(in: 0..<8, using: &generator) << 12, pageSizeExtensions: largePages,
        rules: PagingRules(
          hasGiBPages: generator.pick([false, true]), maximumPhysicalAddressBits: generator.pick([32, 40, 52]),
          executeDisableEnabled: generator.pick([false, true]), isAMD: generator.pick([false, true]),
          fourMiBPageAddressBits: 40), protection: PageProtection(cr0: [], cr4: [], rflags: []))
      // The tables of a random memory lead to each other; a full scan of them would take too long.
      let (found, end) = paging.collected(in: memory, tableLimit: 100)
      for _ in 0..<100 {
        let address = Self.address(in: mode, using: &generator)
        if case .tooManyTables(let stop) = end, address >= stop { continue }
        let walk = paging.walk(address, for: PageAccess(.read, by: .supervisor), in: memory)
        let range = found.ranges.first { $0.start <= address && address <= $0.last }
        switch walk.outcome {
        case .translated(let translation):
          let range = try #require(range, "\(mode) \(address.rawValue.hexadecimal) has no range")
          #expect(
            range.physicalStart.rawValue + (address.rawValue - range.start.rawValue)
              == translation.physicalAddress.rawValue)
          #expect(range.rights == translation.rights && range.pageSize == translation.pageSize)
        default:
          #expect(range == nil, "\(mode) \(address.rawValue.hexadecimal): \(walk.outcome)")
        }
      }
    }
  }

  /// An address whose indices are among those that the random tables fill.
  static func address(in mode: PagingMode, using generator: inout SeededGenerator) -> LinearAddress {
    var address: UInt64 = 0
    for level in UInt64(0)..<UInt64(mode.levels) {
      let shift = mode == .twoLevel ? 12 + 10 * level : 12 + 9 * level
      address |= UInt64(generator.pick([0, 1, 2, 3, 128, 511])) << shift
    }
    return switch mode {
    case .fourLevel: LinearAddress(UInt64(bitPattern: Int64(bitPattern: address << 16) >> 16))
    case .fiveLevel: LinearAddress(UInt64(bitPattern: Int64(bitPattern: address << 7) >> 7))
    case .none, .twoLevel, .pae: LinearAddress(address & 0xFFFF_FFFF)
    }
  }
}
