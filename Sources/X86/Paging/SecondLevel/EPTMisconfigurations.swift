/// Why an EPT entry is misconfigured (SDM vol. 3, 29.3.3.1; KVM `mmu.c: __reset_rsvds_bits_mask_ept` and
/// `is_bad_mt_xwr`, 6.1).
public struct EPTMisconfigurations: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Writes are allowed and reads are not: bits 2:0 are 010 or 110.
  public static let writeWithoutRead = Self(rawValue: 1 << 0)
  /// Execution is allowed and reads are not, which the processor does not support.
  public static let executeOnly = Self(rawValue: 1 << 1)
  /// An address bit from MAXPHYADDR up.
  public static let addressAboveMAXPHYADDR = Self(rawValue: 1 << 2)
  /// Bits that must be zero in an entry that leads to a table: 7:3 of a PML5E or PML4E, 6:3 of a PDPTE or PDE.
  public static let tableBits = Self(rawValue: 1 << 3)
  /// Address bits below the size of a large page: 29:12 of a PDPTE, 20:12 of a PDE.
  public static let largePageAddress = Self(rawValue: 1 << 4)
  /// A large page of a size that the processor does not support.
  public static let pageSize = Self(rawValue: 1 << 5)
  /// The memory type of a page is 2, 3 or 7.
  public static let memoryType = Self(rawValue: 1 << 6)
}

/// What decides whether an EPT entry is misconfigured, as far as it is known.
public struct EPTRules: Hashable, Sendable {
  /// MAXPHYADDR of the processor that walks.
  public var maximumPhysicalAddressBits: Int?
  /// What that processor offers. KVM walking the tables of a guest hypervisor goes by what it offered to that.
  public var capabilities: EPTCapabilities?
  /// Mode-based execute control for EPT: bit 10 of an entry allows fetches from user-mode linear addresses, and bit 2
  /// speaks of the supervisor's only (SDM vol. 3, 25.6.2).
  public var hasModeBasedExecuteControl: Bool

  public init(
    maximumPhysicalAddressBits: Int? = nil, capabilities: EPTCapabilities? = nil,
    hasModeBasedExecuteControl: Bool = false
  ) {
    self.maximumPhysicalAddressBits = maximumPhysicalAddressBits
    self.capabilities = capabilities
    self.hasModeBasedExecuteControl = hasModeBasedExecuteControl
  }

  /// Whether the entry allows anything at all (`paging_tmpl.h: is_present_gpte`, 6.19).
  @inlinable
  public func isPresent(_ entry: EPTEntry) -> Bool {
    entry.rawValue & (hasModeBasedExecuteControl ? 0x407 : 7) != 0
  }

  /// How a present entry is misconfigured; empty for a sound one and for one that is not present.
  ///
  /// - Returns: What is so for certain, and what may be so where an input that is not known decides.
  public func misconfigurations(
    of entry: EPTEntry, at structure: PagingStructure
  ) -> (definite: EPTMisconfigurations, possible: EPTMisconfigurations) {
    guard isPresent(entry) else { return ([], []) }
    var definite: EPTMisconfigurations = []
    var possible: EPTMisconfigurations = []
    let isLeaf = entry.isLeaf(at: structure)
    let highBits = ReservedBitRule.addressBits(from: maximumPhysicalAddressBits ?? 32)
    if entry.rawValue & highBits != 0 {
      if maximumPhysicalAddressBits == nil {
        possible.insert(.addressAboveMAXPHYADDR)
      } else {
        definite.insert(.addressAboveMAXPHYADDR)
      }
    }
    if !entry.rights.contains(.read) {
      if entry.rights.contains(.write) { definite.insert(.writeWithoutRead) }
      let isExecutable =
        entry.rights.contains(.execute) || hasModeBasedExecuteControl && entry.allowsUserExecution
      if isExecutable { require(.executeOnly, else: .executeOnly, &definite, &possible) }
    }
    if isLeaf {
      if entry.memoryType == nil { definite.insert(.memoryType) }
      guard structure > .pageTable else { return (definite, possible) }
      if entry.rawValue & (structure.span &- 1) & ~0xFFF != 0 { definite.insert(.largePageAddress) }
      let needed: EPTCapabilities = structure == .pageDirectory ? .twoMiBPages : .oneGiBPages
      require(needed, else: .pageSize, &definite, &possible)
    } else if entry.rawValue & (structure >= .pml4 ? 0xF8 : 0x78) != 0 {
      definite.insert(.tableBits)
    }
    return (definite, possible)
  }

  private func require(
    _ capability: EPTCapabilities, else misconfiguration: EPTMisconfigurations,
    _ definite: inout EPTMisconfigurations, _ possible: inout EPTMisconfigurations
  ) {
    guard let capabilities else { return possible.formUnion(misconfiguration) }
    if !capabilities.contains(capability) { definite.insert(misconfiguration) }
  }
}
