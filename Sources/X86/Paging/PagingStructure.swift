/// A table of a walk, from the one nearest to the page up (SDM vol. 3, table 4-2).
///
/// What is said here of indices, spans and entry addresses is that of 4-level and 5-level paging, where each table holds
/// 512 entries of 8 bytes; ``TableFormat`` says it for every mode. The raw value is the level as KVM counts it: 1 for a
/// page table.
public enum PagingStructure: UInt8, Hashable, Sendable, CaseIterable, Comparable {
  case pageTable = 1
  case pageDirectory = 2
  case pageDirectoryPointerTable = 3
  case pml4 = 4
  case pml5 = 5

  @inlinable
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  /// The structure at a level from 1 to 5, as `kvm_mmu_paging_element` numbers them; nil for any other number.
  public init?(level: Int) {
    guard let rawValue = UInt8(exactly: level) else { return nil }
    self.init(rawValue: rawValue)
  }

  /// 1 for a page table to 5 for the PML5.
  @inlinable
  public var level: Int { Int(rawValue) }

  /// The table that an entry of this one leads to; nil below a page table.
  @inlinable
  public var next: Self? {
    switch self {
    case .pageTable: nil
    case .pageDirectory: .pageTable
    case .pageDirectoryPointerTable: .pageDirectory
    case .pml4: .pageDirectoryPointerTable
    case .pml5: .pml4
    }
  }

  /// The short name of the table: `PML5`, `PML4`, `PDPT`, `PD` or `PT`.
  public var name: String {
    switch self {
    case .pageTable: "PT"
    case .pageDirectory: "PD"
    case .pageDirectoryPointerTable: "PDPT"
    case .pml4: "PML4"
    case .pml5: "PML5"
    }
  }

  /// The manual's name of the table, in words.
  public var longName: String {
    switch self {
    case .pageTable: "page table"
    case .pageDirectory: "page directory"
    case .pageDirectoryPointerTable: "page-directory-pointer table"
    case .pml4: "PML4 table"
    case .pml5: "PML5 table"
    }
  }

  /// The manual's name of one entry: `PML5E`, `PML4E`, `PDPTE`, `PDE` or `PTE`.
  public var entryName: String {
    switch self {
    case .pageTable: "PTE"
    case .pageDirectory: "PDE"
    case .pageDirectoryPointerTable: "PDPTE"
    case .pml4: "PML4E"
    case .pml5: "PML5E"
    }
  }

  /// The lowest bit of a linear address that selects an entry here: 12, 21, 30, 39 or 48.
  @inlinable
  var indexShift: UInt64 { 3 + 9 * UInt64(rawValue) }

  /// The number of the entry that translates `address`, 0 to 511.
  @inlinable
  public func index(of address: LinearAddress) -> Int { Int(address.rawValue >> indexShift & 0x1FF) }

  /// Where that entry lies when the table is at `table`.
  @inlinable
  public func entryAddress(of address: LinearAddress, in table: PhysicalAddress) -> PhysicalAddress {
    PhysicalAddress(table.rawValue &+ 8 &* UInt64(index(of: address)))
  }

  /// How many bytes of linear addresses one entry governs: 4 KiB, 2 MiB, 1 GiB, 512 GiB or 256 TiB.
  @inlinable
  public var span: UInt64 { 1 << indexShift }

  /// The size of a page that an entry here maps: 4 KiB, 2 MiB or 1 GiB; nil for a PML4 or PML5, which map none.
  @inlinable
  public var pageSize: UInt64? { self <= .pageDirectoryPointerTable ? span : nil }

  /// The address bits of a large page that must be zero: 20:13 of a PDE, 29:13 of a PDPTE. Bit 12 is PAT.
  @inlinable
  var largePageOffsetBits: UInt64 { (span &- 1) & ~0x1FFF }
}
