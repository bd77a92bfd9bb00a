/// An entry of a paging structure (SDM vol. 3, 4.3 to 4.5); an entry of 32-bit paging has its 32 bits in the lower half.
///
/// What some bits mean depends on the structure the entry lies in and on the tables' format; those are methods that take
/// them.
public struct PageTableEntry: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// P, bit 0: without it the processor looks at no other bit.
  @inlinable
  public var isPresent: Bool { rawValue & 1 << 0 != 0 }
  /// R/W, bit 1: writes are allowed, if every level allows them.
  @inlinable
  public var isWritable: Bool { rawValue & 1 << 1 != 0 }
  /// U/S, bit 2: user-mode accesses are allowed, if every level allows them.
  @inlinable
  public var isUser: Bool { rawValue & 1 << 2 != 0 }
  /// PWT, bit 3.
  public var isWriteThrough: Bool { rawValue & 1 << 3 != 0 }
  /// PCD, bit 4.
  public var isCacheDisabled: Bool { rawValue & 1 << 4 != 0 }
  /// A, bit 5: a translation has used the entry.
  public var isAccessed: Bool { rawValue & 1 << 5 != 0 }
  /// D, bit 6: the page has been written; ignored in an entry that leads to a table.
  public var isDirty: Bool { rawValue & 1 << 6 != 0 }
  /// Bit 7: PS in a PDPTE or PDE, PAT in a PTE, reserved in a PML4E or PML5E.
  @inlinable
  public var pageSizeBit: Bool { rawValue & 1 << 7 != 0 }
  /// G, bit 8: the translation outlives a load of CR3; ignored in an entry that leads to a table.
  public var isGlobal: Bool { rawValue & 1 << 8 != 0 }
  /// Bits 62:59: the page's protection key, 0 to 15; only a leaf's counts, and only in 4-level and 5-level paging.
  @inlinable
  public var protectionKey: UInt8 { UInt8(rawValue >> 59 & 0xF) }
  /// XD, bit 63: no instruction fetches, if EFER.NXE is set; reserved if not.
  @inlinable
  public var isExecuteDisabled: Bool { rawValue & 1 << 63 != 0 }

  /// The rights that this entry alone leaves; a page's rights are the intersection over the walk.
  @inlinable
  public var rights: PageRights {
    PageRights(rawValue: UInt8(truncatingIfNeeded: rawValue >> 1 & 0b11 | (~rawValue >> 63) << 2))
  }

  /// Whether the walk ends here: every PTE maps a page, a PDE or PDPTE does if PS is set.
  ///
  /// A PML4E, a PML5E and a PDPTE of PAE paging never do; their bit 7 is reserved. In 32-bit paging without CR4.PSE bit 7
  /// of a PDE is ignored.
  @inlinable
  public func isLeaf(at structure: PagingStructure, in format: TableFormat = .longMode) -> Bool {
    structure == .pageTable || pageSizeBit && structure <= format.highestLeaf
  }

  /// Bits 51:12: the table that an entry which is not a leaf leads to.
  ///
  /// The bits are taken as they stand, not cut to MAXPHYADDR, as KVM does (`paging_tmpl.h: gpte_to_gfn`, 6.19).
  @inlinable
  public var table: PhysicalAddress { PhysicalAddress(rawValue & 0x000F_FFFF_FFFF_F000) }

  /// The first byte of the page that a leaf maps: bits 51:12, 51:21 or 51:30; nil if the entry is no leaf there.
  ///
  /// Of a 4 MiB page bits 20:13 of the PDE are bits 39:32 of the address (SDM vol. 3, table 4-4); those of them that a
  /// processor lacks are reserved, see ``ReservedBitRule/fourMiBPageAddress``.
  @inlinable
  public func page(at structure: PagingStructure, in format: TableFormat = .longMode) -> PhysicalAddress? {
    guard isLeaf(at: structure, in: format) else { return nil }
    return leafPage(at: structure, in: format)
  }

  /// The page of an entry that is a leaf.
  @inlinable
  func leafPage(at structure: PagingStructure, in format: TableFormat) -> PhysicalAddress {
    let base = table.rawValue & ~(format.span(of: structure) &- 1)
    let isFourMiB = format.isTwoLevel && structure == .pageDirectory
    return PhysicalAddress(isFourMiB ? base | (rawValue >> 13 & 0xFF) << 32 : base)
  }

  /// PAT of a leaf, bit 7 of a PTE and bit 12 of a larger page; nil if the entry is no leaf there.
  public func pat(at structure: PagingStructure, in format: TableFormat = .longMode) -> Bool? {
    guard isLeaf(at: structure, in: format) else { return nil }
    return structure == .pageTable ? pageSizeBit : rawValue & 1 << 12 != 0
  }
}

/// What a page, or one entry on the way to it, allows.
public struct PageRights: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// R/W.
  @inlinable
  public static var write: Self { Self(rawValue: 1 << 0) }
  /// U/S: a user-mode address.
  @inlinable
  public static var user: Self { Self(rawValue: 1 << 1) }
  /// XD is clear.
  @inlinable
  public static var execute: Self { Self(rawValue: 1 << 2) }

  /// Everything: what the walk starts from.
  @inlinable
  public static var all: Self { [.write, .user, .execute] }
}

extension PageTableEntry {
  /// The manual's names of the set flags in the order of their bits: `P RW US PWT PCD A D PS PAT G XD`.
  ///
  /// Only flags that mean something in `structure` are named: D, G and PAT in a leaf, PS where it selects a large
  /// page or is reserved. Of an entry that is not present, none means anything; of a PDPTE of PAE paging only P, PWT and
  /// PCD do.
  public func flagNames(at structure: PagingStructure, in format: TableFormat = .longMode) -> [String] {
    guard isPresent else { return [] }
    let isLeaf = isLeaf(at: structure, in: format)
    let hasRights = !(format == .pae && structure == .pageDirectoryPointerTable)
    let hasPageSize = structure != .pageTable && format != .twoLevel && hasRights
    var names = ["P"]
    if isWritable && hasRights { names.append("RW") }
    if isUser && hasRights { names.append("US") }
    if isWriteThrough { names.append("PWT") }
    if isCacheDisabled { names.append("PCD") }
    if isAccessed && hasRights { names.append("A") }
    if isLeaf && isDirty { names.append("D") }
    if pageSizeBit && hasPageSize { names.append("PS") }
    if pat(at: structure, in: format) == true { names.append("PAT") }
    if isLeaf && isGlobal { names.append("G") }
    if isExecuteDisabled && hasRights { names.append("XD") }
    return names
  }
}
