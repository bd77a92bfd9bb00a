/// The address space of a processor that is known to be in long mode: 4-level or 5-level paging from one root.
///
/// It is ``Paging`` of which the mode is certain, for those who go through such tables themselves.
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

    @inlinable
    var mode: PagingMode { self == .four ? .fourLevel : .fiveLevel }
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
    guard let paging = Paging(state, rules: rules, pkru: pkru, pkrs: pkrs) else { return nil }
    switch paging.mode {
    case .fourLevel: levels = .four
    case .fiveLevel: levels = .five
    case .none, .twoLevel, .pae: return nil
    }
    cr3 = paging.cr3
    self.rules = paging.rules
    protection = paging.protection
  }

  /// The same address space, as one of any mode.
  @inlinable
  public var paging: Paging { Paging(mode: levels.mode, cr3: cr3, rules: rules, protection: protection) }

  /// The root table: CR3[51:12].
  @inlinable
  public var rootTable: PhysicalAddress { paging.rootTable }

  /// Whether the bits above the linear-address width all equal the highest bit within (SDM vol. 1, 3.3.7.1).
  @inlinable
  public func isCanonical(_ address: LinearAddress) -> Bool { paging.isCanonical(address) }

  /// Translates `address` for `access`, reading the tables from `memory`, as ``Paging/walk(_:for:in:)`` does.
  @inlinable
  public func walk(
    _ address: LinearAddress, for access: PageAccess, in memory: borrowing some PhysicalMemory
  ) -> PageWalk {
    paging.walk(address, for: access, in: memory)
  }
}
