import Testing
import X86

/// Every combination of an entry's bits at each level, every setting of the registers and every access, in every mode,
/// against rules stated here on their own: in the manner of kvm-unit-tests' `access`.
@Suite("Access permutations")
struct AccessPermutationTests {
  /// The registers that permissions depend on, each on or off.
  struct Setting: CustomStringConvertible {
    var wp: Bool
    var smep: Bool
    var smap: Bool
    var ac: Bool
    var nxe: Bool
    var pke: Bool

    init(_ bits: Int) {
      wp = bits & 1 != 0
      smep = bits & 2 != 0
      smap = bits & 4 != 0
      ac = bits & 8 != 0
      nxe = bits & 16 != 0
      pke = bits & 32 != 0
    }

    static let all = (0..<64).map(Setting.init)

    var description: String {
      [("WP", wp), ("SMEP", smep), ("SMAP", smap), ("AC", ac), ("NXE", nxe), ("PKE", pke)]
        .filter(\.1).map(\.0).joined(separator: "+")
    }

    var protection: PageProtection {
      var cr4: CR4 = []
      if smep { cr4.insert(.supervisorExecutionPrevention) }
      if smap { cr4.insert(.supervisorAccessPrevention) }
      if pke { cr4.insert(.protectionKeys) }
      // Key 5: access-disabled. Key 6: write-disabled. Key 0: everything.
      return PageProtection(
        cr0: wp ? .writeProtect : [], cr4: cr4, rflags: ac ? .alignmentCheck : [], pkru: 1 << 10 | 2 << 12)
    }
  }

  /// The bits of one entry that are permuted.
  struct Bits: CustomStringConvertible {
    /// P, R/W, U/S, A, D, PS, NX, and one that is reserved in every entry of its kind that has one.
    var raw: Int

    var present: Bool { raw & 1 != 0 }
    var writable: Bool { raw & 2 != 0 }
    var user: Bool { raw & 4 != 0 }
    var accessed: Bool { raw & 8 != 0 }
    var dirty: Bool { raw & 16 != 0 }
    var pageSize: Bool { raw & 32 != 0 }
    var executeDisabled: Bool { raw & 64 != 0 }
    var reserved: Bool { raw & 128 != 0 }

    static let sound = Bits(raw: 0b1111)

    var description: String {
      let names = ["P", "W", "U", "A", "D", "PS", "NX", "RSVD"]
      return names.enumerated().filter { raw >> $0.offset & 1 != 0 }.map(\.element).joined(separator: "+")
    }
  }

  /// A paging mode with CR4.PSE.
  struct Mode: CustomStringConvertible {
    var mode: PagingMode
    var pse: Bool

    static let all = [
      Mode(mode: .twoLevel, pse: false), Mode(mode: .twoLevel, pse: true), Mode(mode: .pae, pse: false),
      Mode(mode: .fourLevel, pse: true), Mode(mode: .fiveLevel, pse: false),
    ]

    var description: String { mode.name + (pse ? " with PSE" : "") }
    var is32Bit: Bool { mode == .twoLevel }

    /// The levels whose entries have rights: a PDPTE of PAE paging has none.
    var levels: [Int] {
      let highest = mode == .twoLevel || mode == .pae ? 2 : mode == .fourLevel ? 4 : 5
      return Array((1...highest).reversed())
    }

    /// Whether PS maps a page at a level above 1.
    func hasLargePage(_ level: Int) -> Bool {
      switch mode {
      case .none: false
      case .twoLevel: pse && level == 2
      case .pae: level == 2
      case .fourLevel, .fiveLevel: level == 2 || level == 3
      }
    }

    /// Bit 45 with MAXPHYADDR 40, which is reserved at every level; in 32-bit paging only a 4 MiB page has one, bit 21.
    var reservedBit: UInt64 { is32Bit ? 1 << 21 : 1 << 45 }

    func entry(_ bits: Bits, level: Int, next: UInt64, key: UInt64) -> UInt64 {
      let isLarge = bits.pageSize && hasLargePage(level)
      var entry = isLarge ? 0 : next
      if bits.present { entry |= 1 << 0 }
      if bits.writable { entry |= 1 << 1 }
      if bits.user { entry |= 1 << 2 }
      if bits.accessed { entry |= 1 << 5 }
      if bits.dirty { entry |= 1 << 6 }
      if bits.pageSize { entry |= 1 << 7 }
      if bits.executeDisabled && !is32Bit { entry |= 1 << 63 }
      if bits.reserved && (isLarge || !is32Bit) { entry |= reservedBit }
      return mode == .fourLevel || mode == .fiveLevel ? entry | key << 59 : entry
    }
  }

  enum Expectation: Hashable {
    case allowed
    case fault(UInt32)
    /// Never right: all is known.
    case undetermined
  }

  /// What must come of an access.
  ///
  /// - Parameter entries: From the root down; the walk may end before the last.
  static func expected(
    _ entries: [(bits: Bits, level: Int)], _ mode: Mode, _ setting: Setting, _ access: PageAccess, key: UInt64
  ) -> Expectation {
    let isWrite = access.kind == .write
    let isFetch = access.kind == .fetch
    let isUser = access.privilege == .user
    // SDM vol. 3, 4.7: I/D needs SMEP, or NXE with PAE.
    var code: UInt32 = isWrite ? 2 : 0
    if isUser { code |= 4 }
    if isFetch && (setting.smep || setting.nxe && !mode.is32Bit) { code |= 16 }

    var (writable, user, executable) = (true, true, true)
    for (bits, level) in entries {
      guard bits.present else { return .fault(code) }
      let isLarge = bits.pageSize && mode.hasLargePage(level)
      // Bits that must be zero: 32-bit paging has one in a 4 MiB page only; XD needs NXE; PS maps nothing that high up.
      let hasReservedBit = bits.reserved && (mode.is32Bit ? isLarge : true)
      let hasReservedNX = bits.executeDisabled && !mode.is32Bit && !setting.nxe
      let hasReservedPS = bits.pageSize && level >= 4
      if hasReservedBit || hasReservedNX || hasReservedPS { return .fault(code | 9) }
      writable = writable && bits.writable
      user = user && bits.user
      executable = executable && (mode.is32Bit || !bits.executeDisabled)
      if isLarge { break }
    }

    // SDM vol. 3, 4.6.2: keys bind data accesses to user pages, in long mode.
    let rights = key == 5 ? 1 : key == 6 ? 2 : 0
    let bindsKeys = setting.pke && user && !isFetch && (mode.mode == .fourLevel || mode.mode == .fiveLevel)
    let isKeyDenied = rights == 1 || rights == 2 && isWrite && (isUser || setting.wp)
    if bindsKeys && isKeyDenied { return .fault(code | 0x21) }

    // SDM vol. 3, 4.6.1.
    let isAllowed: Bool
    if isUser {
      isAllowed = user && (!isWrite || writable) && (!isFetch || executable)
    } else if isFetch {
      isAllowed = executable && !(user && setting.smep)
    } else {
      let passesSMAP = !user || !setting.smap || setting.ac && access.privilege == .supervisor
      isAllowed = passesSMAP && (!isWrite || writable || !setting.wp)
    }
    return isAllowed ? .allowed : .fault(code | 1)
  }

  /// The first entry of each of a few tables, which lie one after the other from 0x1000 on; nothing else.
  struct TableChain: PhysicalMemory {
    var entries = InlineArray<5, UInt64>(repeating: 0)

    func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
      let table = Int(address.rawValue >> 12) - 1
      guard address.rawValue & 0xFFF == 0, entries.indices.contains(table) else {
        throw UnavailableMemory(address: address, reason: .notCaptured)
      }
      for offset in buffer.indices { buffer[offset] = UInt8(truncatingIfNeeded: entries[table] >> UInt64(8 * offset)) }
    }
  }

  static let accesses = PageAccess.Kind.allCases.flatMap { kind in
    PageAccess.Privilege.allCases.map { PageAccess(kind, by: $0) }
  }

  @Test("All bits of the entry at one level, the others sound", arguments: Mode.all)
  func eachLevel(mode: Mode) {
    let settings = Self.settings(mode)
    for level in mode.levels {
      for raw in 0..<256 {
        for key: UInt64 in [0, 5, 6] where key == 0 || mode.levels.count > 2 && raw & 0b0010_1000 == 0b1000 {
          check(mode, [level: Bits(raw: raw)], key: key, settings)
        }
      }
    }
  }

  @Test("The rights and the presence of entries at two levels at once", arguments: Mode.all)
  func twoLevels(mode: Mode) {
    let settings = Self.settings(mode)
    let bits = [0, 1, 3, 5, 7, 0x41, 0x47, 0x27, 0x87].map(Bits.init(raw:))
    for (position, upper) in mode.levels.enumerated() {
      for lower in mode.levels.dropFirst(position + 1) {
        for upperBits in bits {
          for lowerBits in bits { check(mode, [upper: upperBits, lower: lowerBits], key: 0, settings) }
        }
      }
    }
  }

  /// Every setting with the address space it makes. The first table lies at 0x1000.
  private static func settings(_ mode: Mode) -> [(Setting, Paging)] {
    let isPAE = mode.mode == .pae
    return Setting.all.map { setting in
      let paging = Paging(
        mode: mode.mode, cr3: isPAE ? 0 : 0x1000, pageSizeExtensions: mode.pse,
        pdpteRegisters: isPAE ? PDPTERegisters(0x1001, 0, 0, 0) : nil,
        rules: PagingRules(
          hasGiBPages: true, maximumPhysicalAddressBits: 40, executeDisableEnabled: setting.nxe, isAMD: false,
          fourMiBPageAddressBits: 40),
        protection: setting.protection)
      return (setting, paging)
    }
  }

  private func check(_ mode: Mode, _ permuted: [Int: Bits], key: UInt64, _ settings: [(Setting, Paging)]) {
    var memory = TableChain()
    var entries: [(bits: Bits, level: Int)] = []
    for (position, level) in mode.levels.enumerated() {
      let bits = permuted[level] ?? Bits.sound
      memory.entries[position] = mode.entry(bits, level: level, next: UInt64(position + 2) << 12, key: key)
      entries.append((bits, level))
    }
    // An entry that is not present hides all settings but those that decide F in the error code.
    let isHidden = permuted.values.contains { !$0.present }
    for (setting, paging) in settings where !isHidden || !(setting.wp || setting.smap || setting.ac || setting.pke) {
      for access in Self.accesses {
        let outcome = paging.walk(LinearAddress(0x123), for: access, in: memory).outcome
        let expected = Self.expected(entries, mode, setting, access, key: key)
        guard Self.result(outcome) != expected else { continue }
        let levels = permuted.map { "level \($0): \($1)" }.joined(separator: ", ")
        Issue.record(
          "\(mode), \(setting), \(access.kind) by \(access.privilege), key \(key), \(levels): \(outcome), not \(expected)"
        )
      }
    }
  }

  private static func result(_ outcome: PageWalk.Outcome) -> Expectation {
    switch outcome {
    case .translated: .allowed
    case .pageFault(let fault) where fault.undeterminedBits == []: .fault(fault.errorCode.rawValue)
    default: .undetermined
    }
  }
}
