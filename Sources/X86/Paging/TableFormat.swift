/// How the tables of a paging mode are laid out, and what the bits of their entries mean.
///
/// It says a little more than ``PagingMode``: CR4.PSE decides what bit 7 of a 32-bit PDE means. 4-level and 5-level
/// paging share one format.
public enum TableFormat: UInt8, Hashable, Sendable, CaseIterable {
  /// 32-bit paging with CR4.PSE clear: bit 7 of a PDE is ignored (SDM vol. 3, table 4-5).
  case twoLevel
  /// 32-bit paging with CR4.PSE set: a PDE with PS maps 4 MiB (SDM vol. 3, table 4-4).
  case twoLevelWithLargePages
  /// PAE paging (SDM vol. 3, tables 4-8 to 4-11). Its four PDPTEs are loaded into registers with CR3.
  case pae
  /// 4-level and 5-level paging (SDM vol. 3, tables 4-14 to 4-20).
  case longMode

  /// The format of a mode's tables; nil without paging.
  ///
  /// - Parameter pageSizeExtensions: CR4.PSE, which counts only in 32-bit paging.
  @inlinable
  public init?(_ mode: PagingMode, pageSizeExtensions: Bool) {
    switch mode {
    case .none: return nil
    case .twoLevel: self = pageSizeExtensions ? .twoLevelWithLargePages : .twoLevel
    case .pae: self = .pae
    case .fourLevel, .fiveLevel: self = .longMode
    }
  }

  /// Whether entries have 4 bytes, and 10 bits of a linear address select one.
  @inlinable
  public var isTwoLevel: Bool { self == .twoLevel || self == .twoLevelWithLargePages }

  /// How many bytes an entry has: 4 or 8.
  @inlinable
  public var entrySize: UInt64 { isTwoLevel ? 4 : 8 }

  /// The structure that CR3 points to; 5-level paging puts a PML5 before that of ``longMode``.
  @inlinable
  public var rootStructure: PagingStructure {
    switch self {
    case .twoLevel, .twoLevelWithLargePages: .pageDirectory
    case .pae: .pageDirectoryPointerTable
    case .longMode: .pml4
    }
  }

  /// The lowest bit of a linear address that selects an entry of `structure`.
  @inlinable
  func indexShift(of structure: PagingStructure) -> UInt64 {
    isTwoLevel ? 2 + 10 * UInt64(structure.rawValue) : structure.indexShift
  }

  /// The number of the entry that translates `address`: 0 to 1023 in 32-bit paging, 0 to 3 of PAE paging's PDPTEs, else
  /// 0 to 511. Bits above a mode's linear addresses are ignored.
  @inlinable
  public func index(of address: LinearAddress, at structure: PagingStructure) -> Int {
    let mask: UInt64 =
      isTwoLevel ? 0x3FF : self == .pae && structure == .pageDirectoryPointerTable ? 3 : 0x1FF
    return Int(address.rawValue >> indexShift(of: structure) & mask)
  }

  /// Where that entry lies when the table is at `table`.
  @inlinable
  public func entryAddress(
    of address: LinearAddress, at structure: PagingStructure, in table: PhysicalAddress
  ) -> PhysicalAddress {
    PhysicalAddress(table.rawValue &+ entrySize &* UInt64(index(of: address, at: structure)))
  }

  /// How many bytes of linear addresses one entry governs: 4 KiB or 4 MiB in 32-bit paging, else
  /// ``PagingStructure/span``.
  @inlinable
  public func span(of structure: PagingStructure) -> UInt64 { 1 << indexShift(of: structure) }

  /// The highest structure whose entries can map a page.
  @inlinable
  var highestLeaf: PagingStructure {
    switch self {
    case .twoLevel: .pageTable
    case .twoLevelWithLargePages, .pae: .pageDirectory
    case .longMode: .pageDirectoryPointerTable
    }
  }
}
