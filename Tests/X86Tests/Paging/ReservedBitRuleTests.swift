import SeededRandom
import Testing
import X86

@Suite("Reserved bits")
struct ReservedBitRuleTests {
  /// What one rule says of one entry when its input breaks it, keeps it, or is not known.
  struct Row: CustomTestStringConvertible {
    var rule: ReservedBitRule
    var structure: PagingStructure
    var entry: UInt64
    var bits: UInt64
    var breaking = PagingRules()
    var keeping: PagingRules?
    var condition: ReservedBitCondition?

    var testDescription: String { "\(rule) at \(structure.entryName)" }
  }

  /// Every rule at every structure where it applies; other inputs stay unknown and must not matter.
  static let rows: [Row] =
    [
      Row(
        rule: .pageSizeWithoutGiBPages, structure: .pageDirectoryPointerTable, entry: 0xA3, bits: 0x80,
        breaking: PagingRules(hasGiBPages: false), keeping: PagingRules(hasGiBPages: true),
        condition: .withoutGiBPages),
      Row(
        rule: .largePageAddress, structure: .pageDirectoryPointerTable, entry: 0x2000_3083, bits: 0x2000_2000,
        breaking: PagingRules(hasGiBPages: true)),
      Row(rule: .largePageAddress, structure: .pageDirectory, entry: 0x10_3083, bits: 0x10_2000),
      Row(rule: .pageSizeInPML4EOrPML5E, structure: .pml4, entry: 0x1083, bits: 0x80),
      Row(rule: .pageSizeInPML4EOrPML5E, structure: .pml5, entry: 0x1083, bits: 0x80),
    ]
    + [PagingStructure.pml4, .pml5].map {
      Row(
        rule: .amdBit8, structure: $0, entry: 0x1103, bits: 0x100, breaking: PagingRules(isAMD: true),
        keeping: PagingRules(isAMD: false), condition: .isAMD)
    }
    + PagingStructure.allCases.flatMap {
      [
        Row(
          rule: .executeDisableWithoutNXE, structure: $0, entry: 0x8000_0000_0000_1003, bits: 1 << 63,
          breaking: PagingRules(executeDisableEnabled: false), keeping: PagingRules(executeDisableEnabled: true),
          condition: .executeDisableNotEnabled),
        Row(
          rule: .addressAboveMAXPHYADDR, structure: $0, entry: 0x0000_0100_0000_1003, bits: 1 << 40,
          breaking: PagingRules(maximumPhysicalAddressBits: 40),
          keeping: PagingRules(maximumPhysicalAddressBits: 41),
          condition: .maximumPhysicalAddressBits(atMost: 40)),
      ]
    }

  @Test("An input that breaks the rule makes it definite", arguments: rows)
  func broken(row: Row) {
    let violations = Array(row.breaking.violations(of: PageTableEntry(row.entry), at: row.structure))
    #expect(violations == [ReservedBitViolation(rule: row.rule, bits: row.bits, certainty: .definite)])
  }

  @Test("An input that keeps the rule excludes it", arguments: rows.filter { $0.keeping != nil })
  func kept(row: Row) throws {
    let rules = try #require(row.keeping)
    #expect(rules.violations(of: PageTableEntry(row.entry), at: row.structure).isEmpty)
  }

  @Test("An unknown input makes it conditional", arguments: rows.filter { $0.condition != nil })
  func conditional(row: Row) throws {
    let condition = try #require(row.condition)
    let violations = PagingRules().violations(of: PageTableEntry(row.entry), at: row.structure)
    let expected = ReservedBitViolation(rule: row.rule, bits: row.bits, certainty: .conditional(condition))
    #expect(Array(violations) == [expected])
    #expect(!violations.areDefinite)
    #expect(violations.definiteBits == 0)
    #expect(violations.explanation == .inferred(expected, because: condition))
  }

  @Test("No bit of an entry that is not present is reserved", arguments: rows)
  func notPresent(row: Row) {
    #expect(row.breaking.violations(of: PageTableEntry(row.entry & ~1), at: row.structure).isEmpty)
  }

  /// Bits that look suspicious and are not reserved, whatever the processor is.
  @Test(
    "Ignored bits are no violation",
    arguments: [
      (PagingStructure.pageDirectoryPointerTable, 0x1103, "bit 8 of a PDPTE that leads to a table"),
      (.pageDirectory, 0x1103, "bit 8 of a PDE that leads to a table"),
      (.pageDirectory, 0x1043, "bit 6 of a PDE that leads to a table"),
      (.pageDirectory, 0x1083, "PAT of a 2 MiB page"),
      (.pageTable, 0x1083, "PAT of a 4 KiB page"),
      (.pageTable, 0x7FF0_0000_0000_1003, "bits 62:52, the protection key among them"),
      (.pml4, 0x7FF0_0000_0000_1003, "bits 62:52 of a PML4E"),
      (.pml5, 0x0E43, "bits 11:9 and 6 of a PML5E"),
      (.pageTable, 0xFFFF_F003, "an address of 32 bits, which every processor has"),
    ] as [(PagingStructure, UInt64, String)])
  func ignored(structure: PagingStructure, entry: UInt64, label: String) {
    let violations = PagingRules().violations(of: PageTableEntry(entry), at: structure)
    #expect(violations.isEmpty, "\(label): \(Array(violations))")
    #expect(violations.explanation == .none)
  }

  @Test("Each bit, alone, is judged as on every processor that the inputs leave possible", arguments: 1...5)
  func everyBit(level: Int) throws {
    let structure = try #require(PagingStructure(level: level))
    for rules in PagingRules.mixtures(widths: [nil, 32, 36, 40, 52]) {
      let processors = rules.possibleProcessors
      for bit in UInt64(1)...63 {
        for base: UInt64 in [0x1, 0x81] {
          check(base | 1 << bit, at: structure, under: rules, processors)
        }
      }
    }
  }

  @Test("Random entries are judged as on every processor that the inputs leave possible", arguments: 1...5)
  func randomEntries(level: Int) throws {
    let structure = try #require(PagingStructure(level: level))
    var generator = SeededGenerator(seed: UInt64(level))
    for rules in PagingRules.mixtures(widths: [nil, 0, 33, 46, 51, 64]) {
      let processors = rules.possibleProcessors
      for _ in 0..<40 {
        let entry = generator.next() & generator.next() & generator.next() | 1
        check(entry, at: structure, under: rules, processors)
      }
    }
  }

  /// Definite means refused by all possible processors, empty by none, and an inference that it splits them.
  private func check(
    _ raw: UInt64, at structure: PagingStructure, under rules: PagingRules, _ processors: [KnownProcessor]
  ) {
    let violations = rules.violations(of: PageTableEntry(raw), at: structure)
    let refusing = processors.filter { $0.refuses(raw, level: structure.level) }
    let label = "\(structure.entryName) \(String(raw, radix: 16)) under \(rules)"
    if violations.areDefinite != (refusing.count == processors.count) {
      Issue.record(
        "areDefinite is \(violations.areDefinite), \(refusing.count) of \(processors.count) refuse: \(label)")
    }
    if violations.isEmpty != refusing.isEmpty {
      Issue.record("isEmpty is \(violations.isEmpty), \(refusing.count) of \(processors.count) refuse: \(label)")
    }
    if violations.count != Array(violations).count { Issue.record("count is \(violations.count): \(label)") }
    let all = violations.reduce(0) { $0 | $1.bits }
    let suspected = refusing.reduce(0) {
      $0 | raw & $1.reservedMask(level: structure.level, pageSizeBit: raw & 0x80 != 0)
    }
    if all != suspected { Issue.record("bits are \(String(all, radix: 16)): \(label)") }
    checkExplanation(violations, refusing, among: processors, label)
  }

  private func checkExplanation(
    _ violations: ReservedBitViolations, _ refusing: [KnownProcessor], among processors: [KnownProcessor],
    _ label: String
  ) {
    switch violations.explanation {
    case .known(let known):
      if known != violations || refusing.isEmpty { Issue.record("known, yet not refused: \(label)") }
    case .inferred(_, because: let condition):
      if processors.filter({ $0.meets(condition) }) != refusing {
        Issue.record("\(condition) is not what sets the refusing processors apart: \(label)")
      }
    case .ambiguous(let candidates):
      if candidates.count < 2 || candidates.contains(where: { $0.isDefinite }) {
        Issue.record("not ambiguous: \(label)")
      }
    case .none:
      if !refusing.isEmpty { Issue.record("no explanation, yet refused: \(label)") }
    }
  }

  @Test("A report can be put down to what is known, or to nothing else, or not to one rule")
  func explanations() throws {
    let entry = PageTableEntry(0x83)
    let pdpt = PagingStructure.pageDirectoryPointerTable
    let certain = PagingRules(hasGiBPages: false).violations(of: entry, at: pdpt)
    #expect(certain.explanation == .known(certain))

    let either = PagingRules().violations(of: PageTableEntry(0x8000_0000_0000_0083), at: pdpt)
    #expect(either.explanation == .ambiguous(either))
    #expect(either.map(\.rule) == [.pageSizeWithoutGiBPages, .executeDisableWithoutNXE])

    let excluded = PagingRules(hasGiBPages: true, maximumPhysicalAddressBits: 40).violations(of: entry, at: pdpt)
    #expect(excluded.explanation == .none)
  }

  @Test("A definite violation is not hidden by a doubtful one")
  func definiteAmongDoubtful() {
    let rules = PagingRules(executeDisableEnabled: false)
    let violations = rules.violations(of: PageTableEntry(0x8000_0000_0000_0083), at: .pageDirectoryPointerTable)
    #expect(violations.areDefinite)
    #expect(violations.definiteBits == 1 << 63)
    #expect(violations[.pageSizeWithoutGiBPages]?.certainty == .conditional(.withoutGiBPages))
    #expect(violations[.amdBit8] == nil)
  }

  @Test("The CPUID feature that lifts a rule")
  func features() {
    #expect(ReservedBitRule.pageSizeWithoutGiBPages.feature == .pdpe1gb)
    #expect(ReservedBitRule.executeDisableWithoutNXE.feature == .nx)
    #expect(ReservedBitRule.allCases.filter { $0.feature != nil }.count == 2)
  }
}

extension KnownProcessor {
  fileprivate func meets(_ condition: ReservedBitCondition) -> Bool {
    switch condition {
    case .withoutGiBPages: !hasGiBPages
    case .maximumPhysicalAddressBits(let atMost): maximumPhysicalAddressBits <= atMost
    case .executeDisableNotEnabled: !executeDisableEnabled
    case .isAMD: isAMD
    case .fourMiBPageAddressBits: false
    }
  }
}
