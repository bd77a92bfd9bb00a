import Testing
import X86

@Suite("Extended page tables")
struct EPTTests {
  static let capabilities: EPTCapabilities = [
    .executeOnly, .fourLevels, .fiveLevels, .writeBackTables, .uncacheableTables, .twoMiBPages, .oneGiBPages,
    .accessedAndDirty,
  ]

  static func paging(
    _ pointer: UInt64 = 0x101E, capabilities: EPTCapabilities? = Self.capabilities, width: Int? = 40,
    mbec: Bool = false
  ) -> ExtendedPaging {
    ExtendedPaging(
      pointer: EPTPointer(pointer),
      rules: EPTRules(
        maximumPhysicalAddressBits: width, capabilities: capabilities, hasModeBasedExecuteControl: mbec))
  }

  /// Tables from 0x1000 on, one after the other, with these flags; the last maps 0x5000 or a large page at 0.
  static func memory(_ flags: [UInt64]) -> WordMemory {
    var memory = WordMemory()
    for (position, flag) in flags.enumerated() {
      let isLast = position == flags.count - 1
      let next = isLast && flags.count < 4 ? 0 : UInt64(position + 2) << 12
      memory[UInt64(position + 1) << 12] = next | flag
    }
    return memory
  }

  @Test("The EPTP's fields")
  func pointer() {
    let pointer = EPTPointer(0x0000_0012_3456_705E)
    #expect(pointer.memoryType == .writeBack)
    #expect(pointer.levels == 4)
    #expect(pointer.rootStructure == .pml4)
    #expect(pointer.enablesAccessedAndDirty)
    #expect(!pointer.enforcesSupervisorShadowStack)
    #expect(pointer.rootTable == PhysicalAddress(0x12_3456_7000))
    #expect(EPTPointer(0x26).rootStructure == .pml5)
  }

  @Test(
    "An EPTP that no VM entry takes",
    arguments: [
      (0x101E, []), (0x1018, []), (0x1026, []), (0x105E, []), (0x1019, .memoryType), (0x101C, .memoryType),
      (0x1006, .walkLength), (0x102E, .walkLength), (0x111E, .reservedBits), (0x181E, .reservedBits),
      (0x0000_0100_0000_101E, .reservedBits), (0x8000_0000_0000_101E, .reservedBits), (0x109E, .unsupported),
    ] as [(UInt64, EPTPointerViolations)])
  func pointerViolations(raw: UInt64, expected: EPTPointerViolations) {
    let pointer = EPTPointer(raw)
    #expect(pointer.violations(capabilities: Self.capabilities, maximumPhysicalAddressBits: 40) == expected)
    // A processor that offers nothing takes no walk length.
    let needsSomething = pointer.rootStructure != nil || pointer.memoryType == .writeBack
    #expect(
      pointer.violations(capabilities: [], maximumPhysicalAddressBits: 40).contains(.unsupported) == needsSomething)
  }

  /// KVM's masks, written out by hand (`mmu.c: __reset_rsvds_bits_mask_ept` and its table of bad types and rights).
  private static func isMisconfigured(
    _ entry: UInt64, level: Int, executeOnly: Bool, large: Bool
  ) -> Bool {
    guard entry & 7 != 0 else { return false }
    var mask: UInt64 = 0x000F_FF00_0000_0000
    let isLarge = entry & 0x80 != 0
    switch level {
    case 5, 4: mask |= 0xF8
    case 3: mask |= isLarge ? 0x3FFF_F000 | (large ? 0 : 0x80) : 0x78
    case 2: mask |= isLarge ? 0x1F_F000 | (large ? 0 : 0x80) : 0x78
    default: break
    }
    if entry & mask != 0 { return true }
    let isLeaf = level == 1 || level < 4 && isLarge
    if isLeaf && [2, 3, 7].contains(entry >> 3 & 7) { return true }
    switch entry & 7 {
    case 0b010, 0b110: return true
    case 0b100: return !executeOnly
    default: return false
    }
  }

  @Test("Every value of bits 7:0, and each other bit alone, is judged as KVM's masks do", arguments: 1...5)
  func misconfigurations(level: Int) throws {
    let structure = try #require(PagingStructure(level: level))
    let others = [0] + (8...63).map { UInt64(1) << UInt64($0) }
    for executeOnly in [false, true] {
      for large in [false, true] {
        var capabilities: EPTCapabilities = executeOnly ? .executeOnly : []
        if large { capabilities.formUnion([.twoMiBPages, .oneGiBPages]) }
        let rules = EPTRules(maximumPhysicalAddressBits: 40, capabilities: capabilities)
        for low in UInt64(0)..<256 {
          for other in others {
            let found = rules.misconfigurations(of: EPTEntry(low | other), at: structure)
            let expected = Self.isMisconfigured(
              low | other, level: level, executeOnly: executeOnly, large: large)
            if found.definite.isEmpty == expected || !found.possible.isEmpty {
              Issue.record(
                "\(String(low | other, radix: 16)) at \(structure.entryName): \(found), expected \(expected)")
            }
          }
        }
      }
    }
  }

  @Test("What the processor offers and is not known leaves a misconfiguration open")
  func unknownCapabilities() {
    let rules = EPTRules()
    #expect(rules.misconfigurations(of: EPTEntry(0x4), at: .pageTable).possible == .executeOnly)
    #expect(rules.misconfigurations(of: EPTEntry(0x87), at: .pageDirectory).possible == .pageSize)
    #expect(rules.misconfigurations(of: EPTEntry(1 << 40 | 7), at: .pageTable).possible == .addressAboveMAXPHYADDR)
    #expect(rules.misconfigurations(of: EPTEntry(0x2), at: .pageTable).definite == .writeWithoutRead)
    let walk = Self.paging(capabilities: nil).walk(
      PhysicalAddress(0x123), for: EPTAccess(.read), in: Self.memory([7, 7, 0xB7]))
    #expect(walk.outcome == .possiblyMisconfigured(.pageSize, at: .pageDirectory))
    #expect(walk.steps.map(\.isRefused) == [false, false, true])
  }

  @Test(
    "A page of each size with its memory type",
    arguments: [
      ([7, 7, 7, 0x37], 0x5ABC, 1 << 12), ([7, 7, 0xB7], 0x12_3ABC, 1 << 21), ([7, 0x87], 0x12_3ABC, 1 << 30),
    ]
      as [([UInt64], UInt64, UInt64)])
  func pages(flags: [UInt64], expected: UInt64, size: UInt64) {
    let address = PhysicalAddress(flags.count == 4 ? 0xABC : 0x12_3ABC)
    let walk = Self.paging().walk(address, for: EPTAccess(.read), in: Self.memory(flags))
    guard case .translated(let translation) = walk.outcome else {
      Issue.record("\(walk.outcome)")
      return
    }
    #expect(walk.hostAddress == PhysicalAddress(expected))
    #expect(translation.pageSize == size)
    #expect(translation.entry.memoryType == (flags.count == 2 ? .uncacheable : .writeBack))
    #expect(walk.steps.count == flags.count)
    #expect(walk.steps.map(\.entryAddress.rawValue) == (1...flags.count).map { UInt64($0) << 12 })
  }

  /// All rights at two levels, all accesses, with and without accessed and dirty flags.
  @Test("Rights and the exit qualification", arguments: [0x101E, 0x105E] as [UInt64], EPTAccess.Purpose.allCases)
  func violations(pointer: UInt64, purpose: EPTAccess.Purpose) {
    let keepsFlags = pointer & 0x40 != 0
    for upper in [UInt64(1), 3, 4, 5, 7] {
      for leaf in [UInt64(0), 1, 3, 4, 5, 7] {
        let memory = Self.memory([7, upper, 7, leaf == 0 ? 0 : leaf | 0x30])
        for kind in PageAccess.Kind.allCases {
          let walk = Self.paging(pointer).walk(PhysicalAddress(0), for: EPTAccess(kind, for: purpose), in: memory)
          let rights = upper & leaf
          let isTableWrite = purpose == .guestTable && keepsFlags
          let needed: UInt64 = isTableWrite ? 3 : kind == .read ? 1 : kind == .write ? 3 : 4
          var bits: UInt64 = kind == .read ? 1 : kind == .write ? 2 : 4
          if isTableWrite { bits |= 3 }
          bits |= rights << 3
          if purpose != .noLinearAddress { bits |= 0x80 }
          if purpose == .page { bits |= 0x100 }
          if rights & needed == needed {
            #expect(walk.hostAddress == PhysicalAddress(0x5000))
          } else {
            #expect(
              walk.outcome == .violation(EPTViolationQualification(rawValue: bits), at: .pageTable),
              "\(kind) \(purpose), \(upper) and \(leaf)")
          }
        }
      }
    }
  }

  @Test("Mode-based execute control: bit 10 is the user's, bit 2 the supervisor's")
  func modeBasedExecuteControl() {
    for (leaf, isUser, isAllowed) in [
      (UInt64(0x435), true, true), (0x435, false, true), (0x431, true, true), (0x431, false, false),
      (0x35, true, false), (0x35, false, true), (0x430, true, true),
    ] {
      let memory = Self.memory([0x407, 0x407, 0x407, leaf])
      let access = EPTAccess(.fetch, isUserAddress: isUser)
      let walk = Self.paging(mbec: true).walk(PhysicalAddress(0), for: access, in: memory)
      #expect((walk.hostAddress != nil) == isAllowed, "\(String(leaf, radix: 16)), user \(isUser): \(walk.outcome)")
    }
    let outcome = Self.paging(capabilities: [], mbec: true).walk(
      PhysicalAddress(0), for: EPTAccess(.fetch), in: Self.memory([0x407, 0x407, 0x407, 0x430])
    ).outcome
    #expect(outcome == .misconfiguration(.executeOnly, at: .pageTable))
  }

  @Test("An address wider than the walk, a pointer without one, and a table that is not there")
  func ends() {
    let memory = Self.memory([7, 7, 7, 0x37])
    let wide = Self.paging().walk(PhysicalAddress(1 << 48), for: EPTAccess(.read), in: memory)
    #expect(wide.outcome == .violation([.read, .linearAddressValid, .finalAccess], at: .pml4))
    #expect(wide.steps.isEmpty)
    let five = Self.paging(0x1026).walk(PhysicalAddress(0), for: EPTAccess(.read), in: Self.memory([7, 7, 7, 7, 0x37]))
    #expect(five.hostAddress == PhysicalAddress(0x6000))
    #expect(five.steps.first?.structure == .pml5)
    #expect(Self.paging(0x1006).walk(PhysicalAddress(0), for: EPTAccess(.read), in: memory).outcome == .invalidPointer)
    let hole = Self.paging().walk(PhysicalAddress(1 << 12), for: EPTAccess(.read), in: memory)
    let missing = UnavailableMemory(address: PhysicalAddress(0x4008), reason: .notCaptured)
    #expect(hole.outcome == .tableUnavailable(missing, at: .pageTable))
    #expect(hole.steps.count == 3)
  }

  @Test("VMFUNC switches to a pointer of the list, and to none that VM entry refuses")
  func pointerList() {
    var memory = Self.memory([7, 7, 7, 0x37])
    memory[0x9000] = 0x101E
    memory[0x9008] = 0x1006
    memory[0x9FF8] = 0x105E
    let list = EPTPList(address: PhysicalAddress(0x9000))
    #expect(list.entry(0, in: memory) == .switches(to: EPTPointer(0x101E)))
    #expect(list.entry(1, in: memory) == .invalid(EPTPointer(0x1006), .walkLength))
    #expect(list.entry(511, in: memory) == .switches(to: EPTPointer(0x105E)))
    #expect(list.entry(512, in: memory) == .indexTooLarge)
    #expect(
      list.entry(2, in: memory)
        == .unavailable(UnavailableMemory(address: PhysicalAddress(0x9010), reason: .notCaptured)))
    let rules = Self.paging().rules
    let walk = list.walk(PhysicalAddress(0xABC), for: EPTAccess(.read), throughEntry: 511, in: memory, rules: rules)
    #expect(walk?.hostAddress == PhysicalAddress(0x5ABC))
    #expect(list.walk(PhysicalAddress(0), for: EPTAccess(.read), throughEntry: 1, in: memory) == nil)
  }
}
