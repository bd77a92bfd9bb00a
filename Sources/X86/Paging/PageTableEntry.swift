/// An entry of a paging structure of 4-level or 5-level paging (SDM vol. 3, 4.5.4 and tables 4-14 to 4-20).
///
/// What some bits mean depends on the structure the entry lies in; those are methods that take it.
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
  /// Bits 62:59: the page's protection key, 0 to 15; only a leaf's counts.
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
  /// A PML4E and a PML5E never do; their bit 7 is reserved.
  @inlinable
  public func isLeaf(at structure: PagingStructure) -> Bool {
    structure == .pageTable || pageSizeBit && structure <= .pageDirectoryPointerTable
  }

  /// Bits 51:12: the table that an entry which is not a leaf leads to.
  ///
  /// The bits are taken as they stand, not cut to MAXPHYADDR, as KVM does (`paging_tmpl.h: gpte_to_gfn`, 6.19).
  @inlinable
  public var table: PhysicalAddress { PhysicalAddress(rawValue & 0x000F_FFFF_FFFF_F000) }

  /// The first byte of the page that a leaf maps: bits 51:12, 51:21 or 51:30; nil if the entry is no leaf there.
  @inlinable
  public func page(at structure: PagingStructure) -> PhysicalAddress? {
    guard isLeaf(at: structure) else { return nil }
    return PhysicalAddress(table.rawValue & ~(structure.span &- 1))
  }

  /// PAT of a leaf, bit 7 of a PTE and bit 12 of a larger page; nil if the entry is no leaf there.
  public func pat(at structure: PagingStructure) -> Bool? {
    guard isLeaf(at: structure) else { return nil }
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
  /// page or is reserved. Of an entry that is not present, none means anything.
  public func flagNames(at structure: PagingStructure) -> [String] {
    guard isPresent else { return [] }
    let isLeaf = isLeaf(at: structure)
    var names = ["P"]
    if isWritable { names.append("RW") }
    if isUser { names.append("US") }
    if isWriteThrough { names.append("PWT") }
    if isCacheDisabled { names.append("PCD") }
    if isAccessed { names.append("A") }
    if isLeaf && isDirty { names.append("D") }
    if pageSizeBit && structure != .pageTable { names.append("PS") }
    if pat(at: structure) == true { names.append("PAT") }
    if isLeaf && isGlobal { names.append("G") }
    if isExecuteDisabled { names.append("XD") }
    return names
  }
}
