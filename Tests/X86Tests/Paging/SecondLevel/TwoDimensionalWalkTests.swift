import Testing
import X86

/// A guest's walk behind a second level, in one physical memory of the host.
@Suite("Two-dimensional walk")
struct TwoDimensionalWalkTests {
  static let guestRules = PagingRules(
    hasGiBPages: true, maximumPhysicalAddressBits: 40, executeDisableEnabled: true, isAMD: true)

  static let guest = Paging(
    mode: .fourLevel, cr3: 0x1000, rules: guestRules, protection: PageProtection(cr0: [], cr4: [], rflags: []))

  /// The guest's tables at guest-physical 0x1000 to 0x4000 map its page 0x5000; guest-physical memory lies 1 MiB higher
  /// in the host's. `flags` are those of the second level's leaves for guest pages 0 to 7.
  static func memory(_ flags: [UInt64], guest: [UInt64] = [7, 7, 7, 7], table: UInt64 = 7) -> WordMemory {
    var memory = WordMemory()
    for (position, flag) in guest.enumerated() {
      memory[0x10_1000 + UInt64(position) << 12] = UInt64(position + 2) << 12 | flag
    }
    for (level, place) in [UInt64(0x20_1000), 0x20_2000, 0x20_3000].enumerated() {
      memory[place] = 0x20_2000 + UInt64(level) << 12 | table
    }
    for (page, flag) in flags.enumerated() {
      memory[0x20_4000 + UInt64(page) << 3] = flag & 7 == 0 ? flag : (0x10_0000 + UInt64(page) << 12) | flag
    }
    return memory
  }

  static let ept = SecondLevelPaging.ept(
    ExtendedPaging(
      pointer: EPTPointer(0x20_101E),
      rules: EPTRules(maximumPhysicalAddressBits: 46, capabilities: EPTTests.capabilities)))
  static let npt = SecondLevelPaging.npt(
    NestedPaging(
      paging: Paging(
        mode: .fourLevel, cr3: 0x20_1000, rules: guestRules,
        protection: PageProtection(cr0: .writeProtect, cr4: [], rflags: []))))

  static func walk(_ second: SecondLevelPaging, _ kind: PageAccess.Kind, in memory: WordMemory) -> TwoDimensionalWalk {
    second.walk(LinearAddress(0xABC), for: PageAccess(kind, by: .supervisor), of: guest, in: memory)
  }

  @Test("Both dimensions allow it")
  func translated() {
    for (second, flag) in [(Self.ept, UInt64(0x37)), (Self.npt, 7)] {
      let memory = Self.memory(Array(repeating: flag, count: 8))
      let walk = Self.walk(second, .write, in: memory)
      guard case .translated(let host, let last) = walk.outcome else {
        Issue.record("\(walk.outcome)")
        return
      }
      #expect(host == PhysicalAddress(0x10_5ABC))
      #expect(last.hostAddress == host)
      #expect(walk.guest.outcome.physicalAddress == PhysicalAddress(0x5ABC))
      let tables = second.tableAccesses(of: walk, in: memory)
      #expect(tables.map(\.hostAddress) == [0x10_1000, 0x10_2000, 0x10_3000, 0x10_4000].map { PhysicalAddress($0) })
    }
  }

  @Test("The second dimension refuses a table of each level, or the page", arguments: 1...5)
  func refused(page: Int) {
    let purpose: SecondLevelPaging.Purpose =
      PagingStructure(level: 5 - page).map { .guestTable($0) } ?? .page
    var flags = Array(repeating: UInt64(0x37), count: 8)
    flags[page] = 0
    let byEPT = Self.walk(Self.ept, .write, in: Self.memory(flags))
    guard case .endedBySecondLevel(.ept(let walk), purpose) = byEPT.outcome else {
      Issue.record("\(byEPT.outcome)")
      return
    }
    #expect(walk.address.rawValue >> 12 == UInt64(page))
    let qualification: EPTViolationQualification =
      page == 5 ? [.write, .linearAddressValid, .finalAccess] : [.read, .linearAddressValid]
    #expect(walk.outcome == .violation(qualification, at: .pageTable))
    #expect(byEPT.guest.steps.count == min(page - 1, 4))

    flags = Array(repeating: 7, count: 8)
    flags[page] = 5
    let byNPT = Self.walk(Self.npt, .write, in: Self.memory(flags))
    // A table is accessed with a write, too: W, U and P, and which dimension.
    #expect(byNPT.nestedPageFault?.rawValue == (page == 5 ? 0x1_0000_0007 : 0x2_0000_0007))
    guard case .endedBySecondLevel(.npt, purpose) = byNPT.outcome else {
      Issue.record("\(byNPT.outcome)")
      return
    }
  }

  @Test("NPT walks as a user: a supervisor's page is refused")
  func nestedAccessesAreUsers() {
    var flags = Array(repeating: UInt64(7), count: 8)
    flags[5] = 3
    let walk = Self.walk(Self.npt, .read, in: Self.memory(flags))
    #expect(walk.nestedPageFault == NestedPageFaultInformation(errorCode: [.present, .user], isFinalAccess: true))
  }

  @Test("A read-only table passes EPT without accessed and dirty flags, and not with them")
  func readOnlyTable() {
    var flags = Array(repeating: UInt64(0x37), count: 8)
    flags[3] = 0x35
    let memory = Self.memory(flags)
    guard case .translated = Self.walk(Self.ept, .read, in: memory).outcome else {
      Issue.record("refused without the flags")
      return
    }
    let rules = EPTRules(maximumPhysicalAddressBits: 46, capabilities: EPTTests.capabilities)
    let second = SecondLevelPaging.ept(ExtendedPaging(pointer: EPTPointer(0x20_105E), rules: rules))
    guard
      case .endedBySecondLevel(.ept(let walk), .guestTable(.pageDirectory)) = Self.walk(second, .read, in: memory)
        .outcome
    else {
      Issue.record("\(Self.walk(second, .read, in: memory).outcome)")
      return
    }
    #expect(
      walk.outcome
        == .violation([.read, .write, .readable, .executable, .linearAddressValid], at: .pageTable))
  }

  @Test("A misconfigured entry of the second dimension")
  func misconfigured() {
    var flags = Array(repeating: UInt64(0x37), count: 8)
    flags[2] = 0x17
    guard
      case .endedBySecondLevel(.ept(let walk), .guestTable(.pageDirectoryPointerTable)) =
        Self.walk(Self.ept, .read, in: Self.memory(flags)).outcome
    else {
      Issue.record("not refused at the PDPT")
      return
    }
    #expect(walk.outcome == .misconfiguration(.memoryType, at: .pageTable))
  }

  @Test("The guest's own fault stays the guest's")
  func guestFault() {
    let memory = Self.memory(Array(repeating: 0x37, count: 8), guest: [7, 7, 6, 7])
    let walk = Self.walk(Self.ept, .read, in: memory)
    #expect(walk.outcome == .endedByGuest)
    #expect(
      walk.guest.outcome == .pageFault(PageFault(cause: .notPresent, structure: .pageDirectory, errorCode: [])))
    #expect(walk.nestedPageFault == nil)
  }

  @Test("A table that the second dimension maps to memory that is not known")
  func unknownHostMemory() {
    var memory = Self.memory(Array(repeating: 0x37, count: 8))
    memory[0x10_2000] = nil
    let walk = Self.walk(Self.ept, .read, in: memory)
    #expect(walk.outcome == .tableUnavailable(host: PhysicalAddress(0x10_2000), .pageDirectoryPointerTable))
  }

  @Test("A guest-physical address with bit 47 is one like any other to NPT")
  func highGuestAddress() {
    guard case .npt(let paging) = Self.npt else { return }
    var memory = WordMemory()
    memory[0x20_1800] = 0x20_2007
    memory[0x20_2000] = 0x87
    let walk = paging.walk(PhysicalAddress(1 << 47 | 0x123), for: .read, in: memory)
    #expect(walk.outcome.physicalAddress == PhysicalAddress(0x123))
    #expect(paging.walk(PhysicalAddress(1 << 48), for: .read, in: memory).outcome == .notCanonical)
  }

  @Test("A guest without paging, and one with PAE paging, whose registers are loaded through the second dimension")
  func otherModes() {
    let memory = Self.memory(Array(repeating: 0x37, count: 8))
    var guest = Self.guest
    guest.mode = .none
    let unpaged = Self.ept.walk(LinearAddress(0x1234), for: PageAccess(.read, by: .supervisor), of: guest, in: memory)
    guard case .translated(PhysicalAddress(0x10_1234), last: _) = unpaged.outcome else {
      Issue.record("\(unpaged.outcome)")
      return
    }
    guest.mode = .pae
    var tables = Self.memory(Array(repeating: 0x37, count: 8), guest: [1, 7, 7])
    let read = PageAccess(.read, by: .supervisor)
    let paged = Self.ept.walk(LinearAddress(0xABC), for: read, of: guest, in: tables)
    guard case .translated(PhysicalAddress(0x10_4ABC), last: _) = paged.outcome else {
      Issue.record("\(paged.outcome)")
      return
    }
    tables[0x20_4008] = 0
    let refused = Self.ept.walk(LinearAddress(0xABC), for: read, of: guest, in: tables)
    guard case .endedBySecondLevel(.ept, .guestTable(.pageDirectoryPointerTable)) = refused.outcome else {
      Issue.record("\(refused.outcome)")
      return
    }
  }
}
