/// The address space of a processor, in any paging mode: how a linear address becomes a physical one, and when not.
///
/// ``walk(_:for:in:)`` translates one address.
public struct Paging: Hashable, Sendable {
  public var mode: PagingMode
  /// CR3 as it stands, with PCID or PWT and PCD in the low bits.
  public var cr3: UInt64
  /// CR4.PSE: 4 MiB pages in 32-bit paging. No other mode looks at it.
  public var pageSizeExtensions: Bool
  /// The PDPTE registers of PAE paging; nil where they are not known, and then the table at CR3 stands for them.
  public var pdpteRegisters: PDPTERegisters?
  public var rules: PagingRules
  public var protection: PageProtection

  @inlinable
  public init(
    mode: PagingMode, cr3: UInt64, pageSizeExtensions: Bool = false, pdpteRegisters: PDPTERegisters? = nil,
    rules: PagingRules, protection: PageProtection
  ) {
    self.mode = mode
    self.cr3 = cr3
    self.pageSizeExtensions = pageSizeExtensions
    self.pdpteRegisters = pdpteRegisters
    self.rules = rules
    self.protection = protection
  }

  /// The address space of a processor; nil only where its ``ProcessorState/pagingMode`` hangs on an unknown EFER.
  ///
  /// EFER.NXE is taken from the state where it has EFER, else from `rules`.
  public init?(
    _ state: ProcessorState, rules: PagingRules, pdpteRegisters: PDPTERegisters? = nil, pkru: UInt32? = nil,
    pkrs: UInt32? = nil
  ) {
    guard let mode = state.pagingMode else { return nil }
    var rules = rules
    if let efer = state.efer { rules.executeDisableEnabled = efer.contains(.executeDisableEnable) }
    self.init(
      mode: mode, cr3: state.cr3, pageSizeExtensions: state.cr4.contains(.pageSizeExtensions),
      pdpteRegisters: pdpteRegisters, rules: rules,
      protection: PageProtection(cr0: state.cr0, cr4: state.cr4, rflags: state.rflags, pkru: pkru, pkrs: pkrs))
  }

  /// How the tables are laid out; nil without paging.
  @inlinable
  public var format: TableFormat? { TableFormat(mode, pageSizeExtensions: pageSizeExtensions) }

  /// The structure that CR3 points to; nil without paging.
  @inlinable
  public var rootStructure: PagingStructure? { mode == .fiveLevel ? .pml5 : format?.rootStructure }

  /// Where that structure lies: CR3[51:12] in 4-level and 5-level paging, CR3[31:12] in 32-bit paging, CR3[31:5] in PAE
  /// paging.
  ///
  /// Nothing is cut to MAXPHYADDR (`paging_tmpl.h: walk_addr_generic`, 6.19).
  @inlinable
  public var rootTable: PhysicalAddress {
    switch mode {
    case .none, .fourLevel, .fiveLevel: PhysicalAddress(cr3 & 0x000F_FFFF_FFFF_F000)
    case .twoLevel: PhysicalAddress(cr3 & 0xFFFF_F000)
    case .pae: pdpteTable
    }
  }

  /// Whether the bits above the width of a linear address all equal the highest bit within (SDM vol. 1, 3.3.7.1); in
  /// 32-bit and PAE paging, and without paging, always.
  @inlinable
  public func isCanonical(_ address: LinearAddress) -> Bool {
    switch mode {
    case .none, .twoLevel, .pae: true
    case .fourLevel: Self.isCanonical(address, unusedBits: 16)
    case .fiveLevel: Self.isCanonical(address, unusedBits: 7)
    }
  }

  @inlinable
  public static func isCanonical(_ address: LinearAddress, unusedBits: Int64) -> Bool {
    let signed = Int64(bitPattern: address.rawValue)
    return (signed &<< unusedBits) &>> unusedBits == signed
  }
}
