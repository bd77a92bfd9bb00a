/// The address space of a processor in long mode: 4-level or 5-level paging from one root.
public struct LongModePaging: Hashable, Sendable {
  /// How many levels the walk has.
  public enum Levels: Hashable, Sendable, CaseIterable {
    case four
    case five

    /// The table that CR3 points to.
    @inlinable
    public var rootStructure: PagingStructure { self == .four ? .pml4 : .pml5 }

    /// The width of a linear address: 48 or 57 bits.
    @inlinable
    public var linearAddressBits: Int { self == .four ? 48 : 57 }
  }

  public var levels: Levels
  /// CR3 as it stands, with PCID or PWT and PCD in the low bits.
  public var cr3: UInt64
  public var rules: PagingRules
  public var protection: PageProtection

  public init(levels: Levels, cr3: UInt64, rules: PagingRules, protection: PageProtection) {
    self.levels = levels
    self.cr3 = cr3
    self.rules = rules
    self.protection = protection
  }

  /// The address space of a processor; nil unless its ``ProcessorState/pagingMode`` is 4-level or 5-level paging.
  ///
  /// EFER.NXE is taken from the state where it has EFER, else from `rules`.
  public init?(_ state: ProcessorState, rules: PagingRules, pkru: UInt32? = nil, pkrs: UInt32? = nil) {
    switch state.pagingMode {
    case .fourLevel: levels = .four
    case .fiveLevel: levels = .five
    default: return nil
    }
    cr3 = state.cr3
    self.rules = rules
    if let efer = state.efer { self.rules.executeDisableEnabled = efer.contains(.executeDisableEnable) }
    protection = PageProtection(cr0: state.cr0, cr4: state.cr4, rflags: state.rflags, pkru: pkru, pkrs: pkrs)
  }

  /// The root table: CR3[51:12], not cut to MAXPHYADDR (`paging_tmpl.h: walk_addr_generic`, 6.19).
  @inlinable
  public var rootTable: PhysicalAddress { PhysicalAddress(cr3 & 0x000F_FFFF_FFFF_F000) }

  /// Whether the bits above the linear-address width all equal the highest bit within (SDM vol. 1, 3.3.7.1).
  @inlinable
  public func isCanonical(_ address: LinearAddress) -> Bool {
    let unused = Int64(64 - levels.linearAddressBits)
    let signed = Int64(bitPattern: address.rawValue)
    return (signed << unused) >> unused == signed
  }
}
