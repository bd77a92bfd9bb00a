import Testing
import X86

@Suite("Page walk")
struct PageWalkTests {
  static let fetch = PageAccess(.fetch, by: .supervisor)
  static let read = PageAccess(.read, by: .supervisor)

  static func paging(
    _ mode: PagingMode = .fourLevel, cr3: UInt64 = 0x1000, cr0: CR0 = [], cr4: CR4 = [], rflags: RFLAGS = [],
    pkru: UInt32? = nil, pkrs: UInt32? = nil,
    rules: PagingRules = PagingRules(
      hasGiBPages: true, maximumPhysicalAddressBits: 52, executeDisableEnabled: true, isAMD: false)
  ) -> Paging {
    Paging(
      mode: mode, cr3: cr3, rules: rules,
      protection: PageProtection(cr0: cr0, cr4: cr4, rflags: rflags, pkru: pkru, pkrs: pkrs))
  }

  /// The guest of the background text: its PDPTE 0xa3 maps 1 GiB, which `-cpu Haswell` does not announce.
  struct Story {
    var memory = WordMemory(words: [0xBF_8000: 0xBF_9023, 0xBF_9000: 0xA3])
    let address = LinearAddress(0x133025)

    func walk(hasGiBPages: Bool?) -> PageWalk {
      PageWalkTests.paging(
        cr3: 0xBF_8000,
        rules: PagingRules(
          hasGiBPages: hasGiBPages, maximumPhysicalAddressBits: 40, executeDisableEnabled: false, isAMD: false)
      ).walk(address, for: PageWalkTests.fetch, in: memory)
    }
  }

  @Test("The 1 GiB page of a processor without them is refused at the PDPTE")
  func storyDies() throws {
    let walk = Story().walk(hasGiBPages: false)
    guard case .pageFault(let fault) = walk.outcome, case .reservedBits(let violations) = fault.cause else {
      Issue.record("\(walk.outcome)")
      return
    }
    #expect(fault.errorCode.rawValue == 9)
    #expect(fault.errorCode.names == ["P", "RSVD"])
    #expect(fault.undeterminedBits == [])
    #expect(fault.structure == .pageDirectoryPointerTable)
    #expect(
      Array(violations) == [ReservedBitViolation(rule: .pageSizeWithoutGiBPages, bits: 0x80, certainty: .definite)])
    #expect(
      Array(walk.steps) == [
        WalkStep(
          structure: .pml4, index: 0, entryAddress: PhysicalAddress(0xBF_8000), entry: PageTableEntry(0xBF_9023),
          verdict: .accepted),
        WalkStep(
          structure: .pageDirectoryPointerTable, index: 0, entryAddress: PhysicalAddress(0xBF_9000),
          entry: PageTableEntry(0xA3), verdict: .reservedBits(violations)),
      ])
  }

  @Test("The same page on a processor that has them is found")
  func storyLives() {
    let walk = Story().walk(hasGiBPages: true)
    #expect(
      walk.outcome
        == .translated(
          Translation(
            physicalAddress: PhysicalAddress(0x133025), structure: .pageDirectoryPointerTable,
            entry: PageTableEntry(0xA3), rights: [.write, .execute])))
    #expect(walk.steps.map(\.verdict) == [.accepted, .accepted])
  }

  @Test("The same page on a processor of which that is not known is left open")
  func storyUnknown() {
    let walk = Story().walk(hasGiBPages: nil)
    guard case .undetermined(.reservedBits(let violations), at: .pageDirectoryPointerTable) = walk.outcome else {
      Issue.record("\(walk.outcome)")
      return
    }
    #expect(violations[.pageSizeWithoutGiBPages]?.certainty == .conditional(.withoutGiBPages))
    #expect(walk.steps.last?.verdict == .possiblyReservedBits(violations))
  }

  @Test(
    "A page of each size, at both ends of the address space",
    arguments: [PagingStructure.pageTable, .pageDirectory, .pageDirectoryPointerTable], PagingMode.longModes)
  func pageSizes(leaf: PagingStructure, mode: PagingMode) throws {
    let pageSize = try #require(leaf.pageSize)
    let top = 0x000F_FFFF_FFFF_F000 & ~(pageSize - 1)
    for (address, index) in [(UInt64(0), UInt64(0)), (0xFFFF_FFFF_FFFF_FFFF, 511)] {
      var memory = WordMemory()
      var table: UInt64 = 0x000F_FFFF_FF00_0000
      let paging = Self.paging(mode, cr3: table | 0xFFF)
      var structure = try #require(PagingStructure(level: mode.levels))
      while let next = structure.next, structure > leaf {
        memory[table + 8 * index] = (table + 0x1000) | 3
        table += 0x1000
        structure = next
      }
      memory[table + 8 * index] = top | (leaf == .pageTable ? 3 : 0x83)
      let walk = paging.walk(LinearAddress(address), for: Self.read, in: memory)
      guard case .translated(let translation) = walk.outcome else {
        Issue.record("\(walk.outcome)")
        continue
      }
      #expect(translation.physicalAddress.rawValue == top | address & (pageSize - 1))
      #expect(translation.pageSize == pageSize)
      #expect(translation.structure == leaf)
      #expect(walk.steps.count == mode.levels - leaf.level + 1)
      #expect(walk.steps.map(\.index) == Array(repeating: Int(index), count: walk.steps.count))
    }
  }

  @Test("PAT of a large page is no part of its address")
  func patIsNoAddress() {
    let memory = WordMemory(words: [0x1000: 0x2003, 0x2000: 0x3003, 0x3000: 0x0020_1083])
    let walk = Self.paging().walk(LinearAddress(0x1234), for: Self.read, in: memory)
    guard case .translated(let translation) = walk.outcome else {
      Issue.record("\(walk.outcome)")
      return
    }
    #expect(translation.physicalAddress.rawValue == 0x20_1234)
    #expect(translation.entry.pat(at: translation.structure) == true)
  }

  @Test(
    "Canonical addresses",
    arguments: [
      (0x0000_7FFF_FFFF_FFFF, true, true), (0x0000_8000_0000_0000, false, true),
      (0xFFFF_7FFF_FFFF_FFFF, false, true), (0xFFFF_8000_0000_0000, true, true),
      (0x00FF_FFFF_FFFF_FFFF, false, true), (0x0100_0000_0000_0000, false, false),
      (0xFEFF_FFFF_FFFF_FFFF, false, false), (0xFF00_0000_0000_0000, false, true),
      (0x8000_0000_0000_0000, false, false), (0x7FFF_FFFF_FFFF_FFFF, false, false),
      (0, true, true), (0xFFFF_FFFF_FFFF_FFFF, true, true),
    ] as [(UInt64, Bool, Bool)])
  func canonical(address: UInt64, with48Bits: Bool, with57Bits: Bool) {
    for (mode, isCanonical) in [(PagingMode.fourLevel, with48Bits), (.fiveLevel, with57Bits)] {
      let paging = Self.paging(mode)
      #expect(paging.isCanonical(LinearAddress(address)) == isCanonical)
      let walk = paging.walk(LinearAddress(address), for: Self.read, in: WordMemory())
      #expect((walk.outcome == .notCanonical) == !isCanonical)
      #expect(walk.steps.isEmpty)
    }
  }

  @Test("An entry that is not present ends the walk at its level", arguments: 1...4)
  func notPresent(level: Int) throws {
    let structure = try #require(PagingStructure(level: level))
    var memory = WordMemory(words: [0x1000: 0x2003, 0x2000: 0x3003, 0x3000: 0x4003, 0x4000: 0x5003])
    // All bits but P: a processor looks at none of them.
    memory[UInt64(5 - level) << 12] = 0xFFFF_FFFF_FFFF_FFFE
    let user = PageAccess(.write, by: .user)
    let walk = Self.paging(rules: PagingRules()).walk(LinearAddress(0), for: user, in: memory)
    #expect(
      walk.outcome == .pageFault(PageFault(cause: .notPresent, structure: structure, errorCode: [.write, .user])))
    #expect(walk.steps.count == 5 - level)
    #expect(walk.steps.last?.verdict == .notPresent)
  }

  @Test("A reserved bit further down comes before a right denied further up")
  func reservedBeforeProtection() {
    // The PML4E allows no user; the PTE has bit 51 set with MAXPHYADDR 40.
    let memory = WordMemory(
      words: [0x1000: 0x2003, 0x2000: 0x3007, 0x3000: 0x4007, 0x4000: 0x0008_0000_0000_5007])
    let rules = PagingRules(maximumPhysicalAddressBits: 40, executeDisableEnabled: false)
    let walk = Self.paging(rules: rules).walk(LinearAddress(0), for: PageAccess(.read, by: .user), in: memory)
    guard case .pageFault(let fault) = walk.outcome else {
      Issue.record("\(walk.outcome)")
      return
    }
    #expect(fault.errorCode == [.present, .user, .reserved])
    #expect(fault.structure == .pageTable)
  }

  @Test("Nothing behind a table is a fault without P; what is not known of it stays open", arguments: 1...4)
  func holes(level: Int) throws {
    let structure = try #require(PagingStructure(level: level))
    var memory = WordMemory(words: [0x1000: 0x2003, 0x2000: 0x3003, 0x3000: 0x4003, 0x4000: 0x5003])
    let hole = UInt64(5 - level) << 12
    memory[hole] = nil
    for reason in [UnavailableMemory.Reason.unbacked, .device, .notCaptured] {
      memory.missing = reason
      let unavailable = UnavailableMemory(address: PhysicalAddress(hole), reason: reason)
      let walk = Self.paging().walk(LinearAddress(0), for: Self.fetch, in: memory)
      let expected: PageWalk.Outcome =
        reason == .unbacked
        ? .pageFault(PageFault(cause: .tableUnbacked(unavailable), structure: structure, errorCode: .fetch))
        : .undetermined(.tableUnavailable(unavailable), at: structure)
      #expect(walk.outcome == expected)
      #expect(walk.steps.map(\.verdict) == Array(repeating: .accepted, count: 4 - level))
    }
  }

  @Test("F in the error code needs EFER.NXE or CR4.SMEP, and is open where NXE is")
  func fetchBit() {
    typealias Row = (nxe: Bool?, smep: Bool, code: PageFaultErrorCode, open: PageFaultErrorCode)
    let rows: [Row] = [
      (false, false, [], []), (true, false, .fetch, []), (nil, false, [], .fetch), (false, true, .fetch, []),
      (true, true, .fetch, []), (nil, true, .fetch, []),
    ]
    for row in rows {
      let cr4: CR4 = row.smep ? .supervisorExecutionPrevention : []
      let paging = Self.paging(cr4: cr4, rules: PagingRules(executeDisableEnabled: row.nxe))
      let memory = WordMemory(words: [0x1000: 0])
      let expected = PageFault(
        cause: .notPresent, structure: .pml4, errorCode: row.code, undeterminedBits: row.open)
      #expect(paging.walk(LinearAddress(0), for: Self.fetch, in: memory).outcome == .pageFault(expected))
      #expect(expected.agrees(with: row.code))
      #expect(expected.agrees(with: row.code.symmetricDifference(.fetch)) == (row.open == .fetch))
      #expect(!expected.agrees(with: row.code.union(.present)))
    }
  }

  @Test("The access that a traced error code stands for")
  func accessOfErrorCode() {
    #expect(PageAccess([.fetch]) == PageAccess(.fetch, by: .supervisor))
    #expect(PageAccess([.write, .user]) == PageAccess(.write, by: .user))
    #expect(PageAccess([.present, .reserved]) == PageAccess(.read, by: .supervisor))
  }

  @Test("Walks are equal when they read the same")
  func equality() {
    var story = Story()
    let walk = story.walk(hasGiBPages: false)
    #expect(walk == story.walk(hasGiBPages: false))
    story.memory[0xBF_8000] = 0xBF_9003
    #expect(walk != story.walk(hasGiBPages: false))
  }
}
