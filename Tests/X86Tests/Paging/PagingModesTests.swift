import SeededRandom
import Testing
import X86

/// What sets 32-bit and PAE paging apart, and who walks them differently.
@Suite("32-bit and PAE paging")
struct PagingModesTests {
  static let read = PageAccess(.read, by: .supervisor)
  static let protection = PageProtection(cr0: [], cr4: [], rflags: [])
  static let rules = PagingRules(
    hasGiBPages: true, maximumPhysicalAddressBits: 40, executeDisableEnabled: true, isAMD: false,
    fourMiBPageAddressBits: 40)

  static func twoLevel(pse: Bool, bits: Int? = 40, quirks: WalkerQuirks = []) -> Paging {
    var rules = Self.rules
    rules.fourMiBPageAddressBits = bits
    rules.quirks = quirks
    return Paging(mode: .twoLevel, cr3: 0x1018, pageSizeExtensions: pse, rules: rules, protection: protection)
  }

  static func pae(_ registers: PDPTERegisters?, _ walker: Walker = .hardware(.intel)) -> Paging {
    var rules = Self.rules
    rules.quirks = walker.quirks
    return Paging(mode: .pae, cr3: 0x1038, pdpteRegisters: registers, rules: rules, protection: protection)
  }

  @Test("No paging leaves the address as it is")
  func unpaged() {
    let paging = Paging(mode: .none, cr3: 0, rules: Self.rules, protection: Self.protection)
    let walk = paging.walk(LinearAddress(0xFFFF_1234), for: Self.read, in: WordMemory())
    #expect(walk.outcome == .unpaged(PhysicalAddress(0xFFFF_1234)))
    #expect(walk.steps.isEmpty)
  }

  @Test("32-bit paging reads two entries of 4 bytes")
  func twoLevelWalk() {
    // PDE 1023 in the upper half of a word, PTE 1 likewise.
    let memory = WordMemory(words: [0x1FF8: 0x0000_2007 << 32, 0x2000: 0x8765_4007 << 32 | 0x3007])
    let walk = Self.twoLevel(pse: false).walk(LinearAddress(0xFFC0_1ABC), for: Self.read, in: memory)
    #expect(walk.outcome.physicalAddress == PhysicalAddress(0x8765_4ABC))
    #expect(walk.steps.map(\.index) == [1023, 1])
    #expect(walk.steps.map(\.entryAddress.rawValue) == [0x1FFC, 0x2004])
    #expect(walk.steps.map(\.entry.rawValue) == [0x2007, 0x8765_4007])
    #expect(walk.steps.map(\.structure) == [.pageDirectory, .pageTable])
  }

  @Test(
    "A 4 MiB page has as many address bits as the walker knows",
    arguments: [
      // Bits 16:13 are address bits 35:32 with PSE-36.
      (0x0041_E083, 36, 0xF_0056_7890), (0x0041_E083, 40, 0xF_0056_7890), (0x0041_E083, 32, nil),
      // Bit 17 is address bit 36, bit 20 address bit 39, and bit 21 none anywhere.
      (0x0042_0083, 36, nil), (0x0042_0083, 37, 0x10_0056_7890), (0x0050_0083, 39, nil),
      (0x0050_0083, 40, 0x80_0056_7890), (0x0060_0083, 40, nil), (0x0060_0083, nil, nil),
      // PAT is no address bit.
      (0x0040_1083, 32, 0x0056_7890),
    ] as [(UInt64, Int?, UInt64?)])
  func fourMiBPages(entry: UInt64, bits: Int?, expected: UInt64?) {
    let memory = WordMemory(words: [0x1000: entry])
    let walk = Self.twoLevel(pse: true, bits: bits).walk(LinearAddress(0x16_7890), for: Self.read, in: memory)
    #expect(walk.outcome.physicalAddress?.rawValue == expected)
    guard expected == nil else { return }
    guard case .pageFault(let fault) = walk.outcome, case .reservedBits(let violations) = fault.cause else {
      Issue.record("\(walk.outcome)")
      return
    }
    #expect(violations.map(\.rule) == [.fourMiBPageAddress])
    #expect(fault.errorCode == [.present, .reserved])
  }

  @Test("Whether a bit above 4 GiB is reserved hangs on the width")
  func fourMiBPageOfUnknownWidth() throws {
    let memory = WordMemory(words: [0x1000: 0x0042_2083])
    let walk = Self.twoLevel(pse: true, bits: nil).walk(LinearAddress(0), for: Self.read, in: memory)
    guard case .undetermined(.reservedBits(let violations), at: .pageDirectory) = walk.outcome else {
      Issue.record("\(walk.outcome)")
      return
    }
    let violation = try #require(violations[.fourMiBPageAddress])
    #expect(violation.bits == 0x2_2000)
    #expect(violation.certainty == .conditional(.fourMiBPageAddressBits(atMost: 36)))
  }

  @Test("Without CR4.PSE bit 7 of a PDE is ignored")
  func withoutPSE() {
    let memory = WordMemory(words: [0x1000: 0x2083, 0x2000: 0x3003])
    let walk = Self.twoLevel(pse: false).walk(LinearAddress(0x123), for: Self.read, in: memory)
    #expect(walk.outcome.physicalAddress == PhysicalAddress(0x3123))
    #expect(walk.steps.first?.entry.flagNames(at: .pageDirectory, in: .twoLevel) == ["P", "RW"])
  }

  @Test("PAE paging goes by its registers and not by the memory they came from")
  func pdpteRegisters() {
    // The memory's PDPTE 3 is not present; the register has bits that no load would accept.
    let memory = WordMemory(words: [0x2FF8: 0x4003, 0x4FF8: 0x0000_0012_3456_7003, 0x1038: 0])
    let registers = PDPTERegisters(0, 0, 0, 0x8000_0000_0000_21E7)
    let walk = Self.pae(registers).walk(LinearAddress(0xFFFF_FABC), for: Self.read, in: memory)
    #expect(walk.outcome.physicalAddress == PhysicalAddress(0x12_3456_7ABC))
    #expect(walk.steps.map(\.index) == [3, 511, 511])
    #expect(walk.steps.first?.entryAddress == PhysicalAddress(0x1038))
    let fault = Self.pae(registers).walk(LinearAddress(0), for: Self.read, in: memory)
    #expect(
      fault.outcome
        == .pageFault(PageFault(cause: .notPresent, structure: .pageDirectoryPointerTable, errorCode: [])))
  }

  @Test("A PDPTE grants and denies nothing")
  func pdpteRights() {
    let memory = WordMemory(words: [0x2000: 0x0000_0087])
    let access = PageAccess(.write, by: .user)
    let walk = Self.pae(PDPTERegisters(0x2001, 0, 0, 0)).walk(LinearAddress(0x1234), for: access, in: memory)
    #expect(walk.outcome.physicalAddress == PhysicalAddress(0x1234))
    #expect(walk.steps.first?.entry.flagNames(at: .pageDirectoryPointerTable, in: .pae) == ["P"])
  }

  /// Each bit of a PDPTE but P: whether a load of the registers, a walk by TCG, and a later walk by registers mind it.
  @Test("Who minds which bit of a PDPTE", arguments: UInt64(1)...63)
  func pdpteBits(bit: UInt64) throws {
    let entry = 0x2001 | UInt64(1) << bit
    // Entries 0 to 3 at CR3[31:5] = 0x1020. The directory of bit-changed addresses is at its place too.
    let table = PageTableEntry(entry).table.rawValue
    let memory = WordMemory(words: [0x1020: entry, 0x1028: 0, 0x1030: 0, 0x1038: 0, table: 0x83])
    let isHigh = bit >= 40
    let isLow = [1, 2, 5, 6, 7, 8].contains(bit)
    let paging = Self.pae(nil)
    switch (isHigh || isLow, Result { () throws(PDPTELoadFault) in try paging.loadPDPTEs(from: memory) }) {
    case (true, .failure(let fault)):
      #expect(fault.index == 0 && fault.isDefinite)
      guard case .reservedBits(let violations) = fault.cause else {
        Issue.record("\(fault)")
        return
      }
      #expect(violations.definiteBits == 1 << bit)
      #expect(
        violations.map(\.rule) == [isLow ? .pdpteBitsInPAE : bit >= 52 ? .highBitsInPAE : .addressAboveMAXPHYADDR])
    case (false, .success(let registers)): #expect(registers[0].rawValue == entry)
    case (_, let result): Issue.record("bit \(bit): \(result)")
    }

    let walk = paging.walk(LinearAddress(0x234), for: Self.read, in: memory)
    if isHigh || isLow {
      guard case .pdpteNotLoadable = walk.outcome else {
        Issue.record("\(walk.outcome)")
        return
      }
    } else {
      #expect(walk.outcome.physicalAddress == PhysicalAddress(0x234))
    }

    // TCG reads it at each walk, minds the high bits only, and its error code lacks P since 7.2.
    for (version, code) in [(SoftwareVersion(7, 1), UInt32(9)), (SoftwareVersion(7, 2), 8)] {
      let outcome = Self.pae(nil, .tcg(version)).walk(LinearAddress(0x234), for: Self.read, in: memory).outcome
      switch outcome {
      case .translated(let translation): #expect(!isHigh && translation.physicalAddress == PhysicalAddress(0x234))
      case .pageFault(let fault): #expect(isHigh && fault.errorCode.rawValue == code)
      default: Issue.record("\(outcome)")
      }
    }
  }

  @Test("A definite fault of a later PDPTE comes before a doubt about an earlier one")
  func loadOfDoubtfulTable() {
    var paging = Self.pae(nil)
    paging.rules.maximumPhysicalAddressBits = nil
    var memory = WordMemory(words: [0x1020: 1 << 35 | 1, 0x1028: 0, 0x1030: 0, 0x1038: 3])
    func fault() -> PDPTELoadFault? {
      do throws(PDPTELoadFault) {
        _ = try paging.loadPDPTEs(from: memory)
        return nil
      } catch {
        return error
      }
    }
    #expect(fault()?.index == 3)
    memory[0x1038] = 2
    #expect(fault()?.index == 0 && fault()?.isDefinite == false)
    memory[0x1020] = 0
    #expect(fault() == nil)
    memory[0x1030] = nil
    #expect(fault()?.isDefinite == false)
    memory.missing = .unbacked
    #expect(fault()?.isDefinite == true)
  }

  @Test("A table on a device stops TCG and faults for KVM")
  func deviceTable() {
    let memory = WordMemory(missing: .device)
    let kvm = Walker.kvm(SoftwareVersion(6, 1), twoDimensionalPaging: false)
    let registers = PDPTERegisters(0x2001, 0, 0, 0)
    let byKVM = Self.pae(registers, kvm).walk(LinearAddress(0), for: Self.read, in: memory)
    #expect(byKVM.judgement == .refused)
    #expect(Self.pae(registers).walk(LinearAddress(0), for: Self.read, in: memory).judgement == .undecided)
  }

  @Test("F needs CR4.PAE for NXE, but for KVM")
  func fetchBit() {
    let fetch = PageAccess(.fetch, by: .supervisor)
    for (quirks, code) in [(WalkerQuirks([]), PageFaultErrorCode([])), (.fetchBitWithoutPAE, .fetch)] {
      let walk = Self.twoLevel(pse: false, quirks: quirks).walk(
        LinearAddress(0), for: fetch, in: WordMemory(words: [0x1000: 0]))
      #expect(
        walk.outcome == .pageFault(PageFault(cause: .notPresent, structure: .pageDirectory, errorCode: code)))
    }
  }

  /// Walkers, and whether AC lets the processor's own accesses below CPL 3 past SMAP.
  @Test(
    "AC lifts SMAP for explicit accesses; for implicit ones below CPL 3 with some walkers, and at CPL 3 with none",
    arguments: [
      (.hardware(.intel), false), (.hardware(.amd), false), (.tcg(SoftwareVersion(7, 2)), true),
      (.kvm(SoftwareVersion(5, 15), twoDimensionalPaging: true), true),
      (.kvm(SoftwareVersion(5, 18), twoDimensionalPaging: true), false),
      (.kvm(SoftwareVersion(6, 1), twoDimensionalPaging: false), false),
    ] as [(Walker, Bool)])
  func implicitAccesses(walker: Walker, isLifted: Bool) {
    let memory = WordMemory(words: [0x1000: 0x2007, 0x2000: 0x3007])
    for alignmentCheck in [false, true] {
      var paging = Self.twoLevel(pse: false, quirks: walker.quirks)
      paging.protection.supervisorAccessPrevention = true
      paging.protection.alignmentCheck = alignmentCheck
      for (privilege, isAllowed) in [
        (PageAccess.Privilege.supervisor, alignmentCheck), (.implicitSupervisor, alignmentCheck && isLifted),
        (.implicitSupervisorAtCPL3, false), (.user, true),
      ] {
        let walk = paging.walk(LinearAddress(0), for: PageAccess(.read, by: privilege), in: memory)
        #expect(walk.judgement == (isAllowed ? .accepted : .refused), "\(privilege), AC \(alignmentCheck)")
      }
    }
  }

  @Test("A key that forbids a supervisor page shows in a user's error code, but not with TCG")
  func keyOfSupervisorPage() {
    let memory = WordMemory(words: [0x1000: 0x2007, 0x2000: 0x3007, 0x3000: 0x4007, 0x4000: 5 << 59 | 0x5003])
    for (quirks, code) in [(WalkerQuirks([]), UInt32(0x25)), (Walker.tcg(SoftwareVersion(7, 2)).quirks, 5)] {
      var rules = Self.rules
      rules.quirks = quirks
      var paging = Paging(mode: .fourLevel, cr3: 0x1000, rules: rules, protection: Self.protection)
      paging.protection.supervisorProtectionKeys = true
      paging.protection.pkrs = 1 << 10
      func errorCode(_ privilege: PageAccess.Privilege) -> UInt32? {
        let walk = paging.walk(LinearAddress(0), for: PageAccess(.read, by: privilege), in: memory)
        guard case .pageFault(let fault) = walk.outcome else { return nil }
        return fault.errorCode.rawValue
      }
      #expect(errorCode(.user) == code)
      #expect(errorCode(.supervisor) == 0x21)
    }
  }

  @Test("Where each mode's root table lies", arguments: PagingMode.allCases)
  func rootTable(mode: PagingMode) {
    let paging = Paging(mode: mode, cr3: 0xFFFF_FFFF_FFFF_FFFF, rules: Self.rules, protection: Self.protection)
    let table: UInt64 = mode == .twoLevel ? 0xFFFF_F000 : mode == .pae ? 0xFFFF_FFE0 : 0x000F_FFFF_FFFF_F000
    #expect(paging.rootTable.rawValue == table)
    #expect(paging.rootStructure?.level == (mode == .none ? nil : mode.levels))
  }

  @Test("Garbage traps neither dimension", arguments: PagingMode.allCases)
  func garbage(mode: PagingMode) {
    var generator = SeededGenerator(seed: UInt64(mode.levels))
    for _ in 0..<3_000 {
      var rules = PagingRules(
        hasGiBPages: generator.pick([nil, false, true]),
        maximumPhysicalAddressBits: generator.pick([nil, Int.min, -1, 0, 31, 40, 52, 64, 300, Int.max]),
        executeDisableEnabled: generator.pick([nil, false, true]), isAMD: generator.pick([nil, false, true]),
        fourMiBPageAddressBits: generator.pick([nil, Int.min, -1, 0, 32, 36, 40, 41, 300, Int.max]))
      rules.quirks = WalkerQuirks(rawValue: UInt8(truncatingIfNeeded: generator.next()))
      let isKnown = generator.oneIn(2)
      let registers = PDPTERegisters(generator.next(), generator.next(), generator.next(), generator.next())
      let guest = Paging(
        mode: mode, cr3: generator.next(), pageSizeExtensions: generator.oneIn(2),
        pdpteRegisters: isKnown ? registers : nil, rules: rules, protection: Self.protection)
      var memory = RandomMemory(seed: generator.next())
      memory.holes = generator.oneIn(2)
      let address = LinearAddress(generator.next() >> UInt64.random(in: 0...40, using: &generator))
      let walk = guest.walk(address, for: Self.read, in: memory)
      for step in walk.steps { _ = (step.verdict, step.entry.flagNames(at: step.structure, in: guest.format ?? .pae)) }
      _ = try? guest.loadPDPTEs(from: memory)
      let ept = ExtendedPaging(
        pointer: EPTPointer(generator.next()),
        rules: EPTRules(
          maximumPhysicalAddressBits: rules.maximumPhysicalAddressBits,
          capabilities: generator.pick([nil, EPTCapabilities(rawValue: generator.next())]),
          hasModeBasedExecuteControl: generator.oneIn(2)))
      for second in [SecondLevelPaging.ept(ept), .npt(NestedPaging(paging: guest))] {
        let nested = second.walk(address, for: Self.read, of: guest, in: memory)
        _ = second.tableAccesses(of: nested, in: memory)
      }
      _ = ept.walk(PhysicalAddress(address.rawValue), for: EPTAccess(.read), in: memory).steps
    }
  }

  /// Memory that holds something else everywhere, the same each time it is read.
  struct RandomMemory: PhysicalMemory {
    var seed: UInt64
    var holes = false

    init(seed: UInt64) { self.seed = seed }

    func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
      var generator = SeededGenerator(seed: seed ^ address.rawValue)
      // Present more often than not, so that walks go on.
      let word = generator.next() | (generator.oneIn(8) ? 0 : 7)
      if holes && generator.oneIn(8) {
        throw UnavailableMemory(address: address, reason: generator.pick([.unbacked, .device, .notCaptured]))
      }
      for offset in buffer.indices { buffer[offset] = UInt8(truncatingIfNeeded: word >> (8 * UInt64(offset & 7))) }
    }
  }

  /// The reserved bits of KVM's `mmu.c: __reset_rsvds_bits_mask` for MAXPHYADDR 40, written out by hand.
  private static func reservedBits(_ format: TableFormat, level: Int, pageSize: Bool, nxe: Bool) -> UInt64 {
    let nx: UInt64 = nxe ? 0 : 1 << 63
    switch (format, level, pageSize) {
    case (.twoLevelWithLargePages, 2, true): return 0x3E_0000
    case (.twoLevel, _, _), (.twoLevelWithLargePages, _, _): return 0
    case (.pae, 3, _): return 0xFFFF_FF00_0000_01E6
    case (.pae, 2, true): return 0x7FFF_FF00_001F_E000 | nx
    case (.pae, _, _): return 0x7FFF_FF00_0000_0000 | nx
    case (.longMode, 4, _), (.longMode, 5, _): return 0x000F_FF00_0000_0080 | nx
    case (.longMode, 3, true): return 0x000F_FF00_3FFF_E000 | nx
    case (.longMode, 2, true): return 0x000F_FF00_001F_E000 | nx
    case (.longMode, _, _): return 0x000F_FF00_0000_0000 | nx
    }
  }

  @Test("Each bit alone is reserved where KVM's masks say so, in every format", arguments: TableFormat.allCases)
  func everyBit(format: TableFormat) throws {
    let highest = format.isTwoLevel ? 2 : format == .pae ? 3 : 5
    for level in 1...highest {
      let structure = try #require(PagingStructure(level: level))
      for nxe in [false, true] {
        var rules = Self.rules
        rules.executeDisableEnabled = nxe
        rules.fourMiBPageAddressBits = 36
        for bit in UInt64(1)..<(format.isTwoLevel ? 32 : 64) {
          for base: UInt64 in [1, 0x81] {
            let entry = base | 1 << bit
            let violations = rules.violations(of: PageTableEntry(entry), at: structure, in: format)
            let reserved = Self.reservedBits(format, level: level, pageSize: entry & 0x80 != 0, nxe: nxe)
            if violations.definiteBits != entry & reserved || violations.contains(where: { !$0.isDefinite }) {
              Issue.record("\(String(entry, radix: 16)) at level \(level), NXE \(nxe): \(Array(violations))")
            }
          }
        }
      }
    }
  }

  @Test("Protection keys bind in long mode only")
  func protectionKeys() {
    // PKRU denies key 0, which every entry without the bits has.
    let protection = PageProtection(cr0: [], cr4: .protectionKeys, rflags: [], pkru: 1)
    let memory = WordMemory(words: [0x1000: 0x2007, 0x2000: 0x3007, 0x3000: 0x4007, 0x4000: 0x5007])
    for mode in [PagingMode.twoLevel, .pae, .fourLevel] {
      let paging = Paging(
        mode: mode, cr3: 0x1000, pdpteRegisters: PDPTERegisters(0x1001, 0, 0, 0), rules: Self.rules,
        protection: protection)
      let walk = paging.walk(LinearAddress(0), for: Self.read, in: memory)
      #expect((walk.judgement == .accepted) == (mode != .fourLevel), "\(mode)")
    }
  }

  @Test("KVM knows no protection keys of supervisor pages")
  func supervisorKeys() {
    let memory = WordMemory(words: [0x1000: 0x2003, 0x2000: 0x83])
    let protection = PageProtection(cr0: [], cr4: .supervisorProtectionKeys, rflags: [], pkrs: 1)
    let paging = Paging(mode: .fourLevel, cr3: 0x1000, rules: Self.rules, protection: protection)
    let kvm = Walker.kvm(SoftwareVersion(6, 1), twoDimensionalPaging: false)
    let opinions = paging.opinions(
      of: [kvm, .tcg(SoftwareVersion(7, 2))], on: LinearAddress(0), for: Self.read, in: memory,
      WalkerInputs(guest: Self.rules))
    #expect(opinions.accepting == [kvm])
  }

  @Test(
    "The width of a 4 MiB page's address: MAXPHYADDR up to 40 with PSE-36, else 32",
    arguments: [(true, 36, 36), (true, 46, 40), (true, nil, nil), (false, 46, 32), (false, nil, 32), (nil, 46, nil)]
      as [(Bool?, UInt32?, Int?)])
  func fourMiBPageAddressBits(hasPSE36: Bool?, width: UInt32?, expected: Int?) {
    var cpuid = CPUID(entries: [], isComplete: false)
    if let hasPSE36 {
      cpuid.entries.append(CPUID.Entry(leaf: 1, eax: 0, ebx: 0, ecx: 0, edx: hasPSE36 ? 1 << 17 : 0))
    }
    if let width { cpuid.entries.append(CPUID.Entry(leaf: 0x8000_0008, eax: width, ebx: 0, ecx: 0, edx: 0)) }
    #expect(PagingRules(cpuid: cpuid, efer: nil).fourMiBPageAddressBits == expected)
  }

  @Test("Who lets a 1 GiB page pass, by guest, host, version and two-dimensional paging")
  func gibPages() {
    typealias Row = (Walker, guest: Bool?, host: Bool?, offers: Bool?, expected: Bool?)
    func kvm(_ minor: Int, _ major: Int = 6, tdp: Bool) -> Walker {
      .kvm(SoftwareVersion(major, minor), twoDimensionalPaging: tdp)
    }
    let rows: [Row] = [
      (.tcg(SoftwareVersion(7, 2)), false, false, nil, true), (.hardware(.amd), false, true, nil, true),
      (.hardware(.intel), true, nil, nil, nil), (kvm(13, 5, tdp: true), false, true, nil, false),
      (kvm(13, 5, tdp: false), true, false, nil, true), (kvm(14, 5, tdp: true), false, true, nil, true),
      (kvm(14, 5, tdp: true), true, false, nil, false), (kvm(14, 5, tdp: false), false, true, nil, false),
      (kvm(12, tdp: false), true, false, false, true), (kvm(18, tdp: false), true, true, false, false),
      (kvm(18, tdp: false), true, true, true, true), (kvm(18, tdp: false), true, true, nil, nil),
      (kvm(18, tdp: false), false, true, true, false), (kvm(15, tdp: false), true, true, false, nil),
      (kvm(18, tdp: true), false, true, nil, true), (kvm(18, tdp: true), true, nil, nil, nil),
    ]
    for row in rows {
      let inputs = WalkerInputs(
        guest: PagingRules(hasGiBPages: row.guest), host: PagingRules(hasGiBPages: row.host),
        kvmOffersGiBPages: row.offers)
      #expect(row.0.rules(for: inputs).hasGiBPages == row.expected, "\(row)")
      let opinion = inputs.opinions(
        of: [row.0], on: PageTableEntry(0x83), at: .pageDirectoryPointerTable)
      #expect(opinion.accepting == (row.expected == true ? [row.0] : []), "\(row)")
      #expect(opinion.refusing == (row.expected == false ? [row.0] : []), "\(row)")
      #expect(opinion.undecided == (row.expected == nil ? [row.0] : []), "\(row)")
    }
  }
}
