import CLinux
import SeededRandom
import X86

/// One setting of a processor: its CPUID and the registers that paging depends on.
struct RandomProcessor {
  var cpuid: CPUID
  var mode: PagingMode
  var cr0: CR0
  var cr3: UInt64
  var cr4: CR4
  var efer: EFER
  var flags: RFLAGS

  /// - Parameters:
  ///   - supported: What KVM offers; features are drawn from it alone, but for pdpe1gb.
  ///   - modes: The modes to draw from.
  ///   - pages: How many pages of tables there are.
  init(supported: CPUID, modes: [PagingMode], pages: Int, using generator: inout SeededGenerator) {
    let cpuid = Self.cpuid(supported, using: &generator)
    self.init(cpuid: cpuid, modes: modes, pages: pages, using: &generator)
  }

  /// - Parameter cpuid: What the guest's processor announces.
  init(cpuid: CPUID, modes: [PagingMode], pages: Int, using generator: inout SeededGenerator) {
    self.cpuid = cpuid
    let hasLA57 = cpuid.has(.la57) == true
    // Without paging there is little to find out.
    let drawn = modes.filter { $0 != .none && (hasLA57 || $0 != .fiveLevel) }
    mode = drawn.isEmpty || generator.oneIn(20) ? .none : generator.pick(drawn)

    cr0 = [.protectionEnable, .extensionType, .numericError]
    if mode != .none { cr0.insert(.paging) }
    if generator.oneIn(2) { cr0.insert(.writeProtect) }

    cr4 = []
    var optional: [CR4] = [.pageSizeExtensions, .pageGlobalEnable]
    let leaf7 = cpuid[leaf: 7]?.ebx ?? 0
    if leaf7 >> 7 & 1 != 0 { optional.append(.supervisorExecutionPrevention) }
    if leaf7 >> 20 & 1 != 0 { optional.append(.supervisorAccessPrevention) }
    for bit in optional where generator.oneIn(2) { cr4.insert(bit) }
    if mode != .twoLevel && mode != .none { cr4.insert(.physicalAddressExtension) }
    if mode == .fiveLevel { cr4.insert(.linearAddress57) }

    efer = mode == .fourLevel || mode == .fiveLevel ? [.longModeEnable, .longModeActive] : []
    if cpuid.has(.nx) == true && generator.oneIn(2) { efer.insert(.executeDisableEnable) }

    flags = generator.oneIn(2) ? .alignmentCheck : []
    cr3 = UInt64.random(in: 0..<UInt64(pages), using: &generator) << 12
    if mode == .pae { cr3 |= UInt64.random(in: 0..<128, using: &generator) << 5 }
    // A root outside RAM.
    if generator.oneIn(40) { cr3 |= 1 << 30 }
    // PWT and PCD.
    cr3 |= generator.next() & 0x18
  }

  /// The least that a mode needs, with the root at 0.
  init(bootOf mode: PagingMode, cpuid: CPUID) {
    self.cpuid = cpuid
    self.mode = mode
    cr0 = [.protectionEnable, .extensionType, .paging]
    cr3 = 0
    cr4 = mode == .twoLevel ? [] : .physicalAddressExtension
    if mode == .fiveLevel { cr4.insert(.linearAddress57) }
    efer = mode == .fourLevel || mode == .fiveLevel ? [.longModeEnable, .longModeActive] : []
    flags = []
  }

  /// A few leaves, with another vendor, width and features.
  private static func cpuid(_ supported: CPUID, using generator: inout SeededGenerator) -> CPUID {
    var cpuid = CPUID(entries: [], isComplete: true)
    for leaf: UInt32 in [0, 1, 7, 0x8000_0000, 0x8000_0001, 0x8000_0008] {
      guard var entry = supported[leaf: leaf] else { continue }
      switch leaf {
      case 0:
        entry.eax = max(entry.eax, 7)
        let isIntel = generator.oneIn(2)
        (entry.ebx, entry.edx, entry.ecx) =
          isIntel ? (0x756E_6547, 0x4965_6E69, 0x6C65_746E) : (0x6874_7541, 0x6974_6E65, 0x444D_4163)
      case 0x8000_0001:
        if generator.oneIn(2) { entry.edx &= ~(1 << 26) } else { entry.edx |= 1 << 26 }
        if generator.oneIn(8) { entry.edx &= ~(1 << 20) }
      case 0x8000_0008:
        entry.eax = entry.eax & ~0xFF | generator.pick([36, 39, 40, 43, 46, 48, 52])
      default: break
      }
      cpuid.entries.append(entry)
    }
    return cpuid
  }

  /// The state as the library takes it.
  func paging(_ walker: Walker, _ inputs: WalkerInputs, pdpteRegisters: PDPTERegisters?) -> Paging {
    Paging(
      mode: mode, cr3: cr3, pageSizeExtensions: cr4.contains(.pageSizeExtensions), pdpteRegisters: pdpteRegisters,
      rules: walker.rules(for: inputs), protection: PageProtection(cr0: cr0, cr4: cr4, rflags: flags))
  }

  /// Whether KVM took the registers as they were given.
  func agrees(with registers: kvm_sregs2) -> Bool {
    registers.cr0 == cr0.rawValue && registers.cr3 == cr3 && registers.cr4 == cr4.rawValue
      && registers.efer == efer.rawValue
  }

  /// The registers as KVM takes them; without `pdpteRegisters` KVM loads them from memory in PAE paging.
  func registers(_ base: kvm_sregs2, pdpteRegisters: PDPTERegisters?) -> kvm_sregs2 {
    var registers = base
    registers.cr0 = cr0.rawValue
    registers.cr3 = cr3
    registers.cr4 = cr4.rawValue
    registers.efer = efer.rawValue
    registers.cs.l = 0
    registers.cs.db = 1
    registers.flags = 0
    if let pdpteRegisters {
      registers.flags = UInt64(KVM_SREGS2_FLAGS_PDPTRS_VALID)
      registers.pdptrs = (
        pdpteRegisters.pdpte0, pdpteRegisters.pdpte1, pdpteRegisters.pdpte2, pdpteRegisters.pdpte3
      )
    }
    return registers
  }
}

/// Tables that lead to each other, biased towards trouble.
struct RandomTables {
  /// How many pages of RAM there are; all are tables.
  let pages: Int
  let isTwoLevel: Bool

  /// Few distinct indices, so that a walk comes back to the same entries.
  private var indices: [Int] { isTwoLevel ? [0, 1, 2, 512, 1023] : [0, 1, 2, 256, 511] }

  func address(_ mode: PagingMode, using generator: inout SeededGenerator) -> UInt64 {
    var address = generator.next() & 0xFFF
    if isTwoLevel {
      for shift: UInt64 in [12, 22] { address |= UInt64(generator.pick(indices)) << shift }
      return address
    }
    for shift: UInt64 in [12, 21, 30, 39, 48] { address |= UInt64(generator.pick(indices)) << shift }
    switch mode {
    case .none, .twoLevel: return address & 0xFFFF_FFFF
    case .pae: return address & 0x3FFF_FFFF | generator.next() & 3 << 30
    case .fourLevel: return UInt64(bitPattern: (Int64(bitPattern: address) << 16) >> 16)
    case .fiveLevel: return UInt64(bitPattern: (Int64(bitPattern: address) << 7) >> 7)
    }
  }

  /// The first address of each page that ``address(_:using:)`` draws from.
  func addresses(_ mode: PagingMode) -> [UInt64] {
    switch mode {
    case .none: []
    case .twoLevel: addresses(at: [22, 12])
    case .pae: (0..<4).flatMap { region in addresses(at: [21, 12]).map { $0 | region << 30 } }
    case .fourLevel: addresses(at: [39, 30, 21, 12]).map { UInt64(bitPattern: (Int64(bitPattern: $0) << 16) >> 16) }
    case .fiveLevel: addresses(at: [48, 39, 30, 21, 12]).map { UInt64(bitPattern: (Int64(bitPattern: $0) << 7) >> 7) }
    }
  }

  private func addresses(at shifts: [UInt64]) -> [UInt64] {
    shifts.reduce([0]) { addresses, shift in
      addresses.flatMap { address in indices.map { address | UInt64($0) << shift } }
    }
  }

  /// Fills the entries that walks come to.
  func fill(_ memory: GuestRAM, cr3: UInt64, isPAE: Bool, using generator: inout SeededGenerator) {
    for page in 0..<pages {
      for index in indices { write(page: page, index: index, to: memory, using: &generator) }
    }
    guard isPAE else { return }
    for index in 0..<4 {
      let place = Int(cr3 & 0xFFFF_FFE0) + index * 8
      if place + 8 <= memory.size { memory[place] = pdpte(using: &generator) }
    }
  }

  /// Draws one of those entries anew.
  func change(_ memory: GuestRAM, using generator: inout SeededGenerator) {
    let page = Int.random(in: 0..<pages, using: &generator)
    write(page: page, index: generator.pick(indices), to: memory, using: &generator)
  }

  /// A PDPTE of PAE paging, sound more often than not: a load needs four of them.
  func pdpte(using generator: inout SeededGenerator) -> UInt64 {
    var entry = UInt64.random(in: 0..<UInt64(pages), using: &generator) << 12 | generator.pick([0, 1, 1, 1, 9, 0x11])
    if generator.oneIn(10) { entry ^= 1 << UInt64.random(in: 0...63, using: &generator) }
    return entry
  }

  private func write(page: Int, index: Int, to memory: GuestRAM, using generator: inout SeededGenerator) {
    if isTwoLevel {
      let word = UInt32(truncatingIfNeeded: entry(page: page, using: &generator))
      memory.store(word, at: page << 12 + index << 2)
    } else {
      memory[page << 12 + index << 3] = entry(page: page, using: &generator)
    }
  }

  private func entry(page: Int, using generator: inout SeededGenerator) -> UInt64 {
    if generator.oneIn(40) { return generator.next() }
    var entry = UInt64.random(in: 0..<UInt64(pages), using: &generator) << 12 | 7
    if generator.oneIn(12) { entry = UInt64(page) << 12 | 7 }
    if generator.oneIn(6) {
      // A large page, its address most often aligned.
      entry = generator.next() & 0xC000_0000 | 0x87
      if generator.oneIn(3) { entry |= generator.next() & 0x3FFF_F000 }
    }
    if generator.oneIn(6) { entry ^= 1 << UInt64.random(in: 0...8, using: &generator) }
    if generator.oneIn(10) { entry |= 1 << UInt64.random(in: 32...51, using: &generator) }
    if generator.oneIn(12) { entry ^= 1 << UInt64.random(in: 0...63, using: &generator) }
    if generator.oneIn(12) { entry |= 1 << 63 }
    if generator.oneIn(24) { entry |= generator.next() & 0x7FF0_0000_0000_0000 }
    return entry
  }
}
