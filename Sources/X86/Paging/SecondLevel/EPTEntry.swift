/// An entry of an extended page table (SDM vol. 3, 29.3.2 and tables 29-1 to 29-7).
///
/// Its structures have the levels, indices and addresses of 4-level and 5-level paging and bear the same names here.
public struct EPTEntry: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// Bits 2:0: what the entry allows.
  @inlinable
  public var rights: EPTRights { EPTRights(rawValue: UInt8(truncatingIfNeeded: rawValue & 7)) }
  /// Bit 10: fetches from user-mode linear addresses, where mode-based execute control is on.
  @inlinable
  public var allowsUserExecution: Bool { rawValue & 1 << 10 != 0 }
  /// Bits 5:3 of a leaf; nil for the values 2, 3 and 7, which are reserved.
  @inlinable
  public var memoryType: MemoryType? { MemoryType(rawValue: UInt8(truncatingIfNeeded: rawValue >> 3 & 7)) }
  /// Bit 6 of a leaf: the guest's PAT is ignored, and the memory type is that of bits 5:3.
  @inlinable
  public var ignoresPAT: Bool { rawValue & 1 << 6 != 0 }
  /// Bit 7 of a PDPTE or PDE: the entry maps a page.
  @inlinable
  public var pageSizeBit: Bool { rawValue & 1 << 7 != 0 }
  /// Bit 8, where the EPTP enables accessed and dirty flags.
  public var isAccessed: Bool { rawValue & 1 << 8 != 0 }
  /// Bit 9 of a leaf, where the EPTP enables accessed and dirty flags.
  public var isDirty: Bool { rawValue & 1 << 9 != 0 }
  /// Bit 63: an EPT violation at this entry makes no #VE.
  public var suppressesVirtualizationException: Bool { rawValue & 1 << 63 != 0 }

  /// Whether the walk ends here: every PTE maps a page, a PDE or PDPTE does if bit 7 is set.
  @inlinable
  public func isLeaf(at structure: PagingStructure) -> Bool {
    structure == .pageTable || pageSizeBit && structure <= .pageDirectoryPointerTable
  }

  /// Bits 51:12: the table that an entry which is not a leaf leads to.
  @inlinable
  public var table: PhysicalAddress { PhysicalAddress(rawValue & 0x000F_FFFF_FFFF_F000) }
}

/// What an EPT entry allows, or all entries of a walk together.
public struct EPTRights: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8

  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable
  public static var read: Self { Self(rawValue: 1 << 0) }
  @inlinable
  public static var write: Self { Self(rawValue: 1 << 1) }
  /// Fetches; with mode-based execute control, those from supervisor-mode linear addresses.
  @inlinable
  public static var execute: Self { Self(rawValue: 1 << 2) }

  /// Everything: what the walk starts from.
  @inlinable
  public static var all: Self { [.read, .write, .execute] }
}

/// How memory is cached (SDM vol. 3, table 12-2): the encoding of the MTRRs, the PAT and EPT.
public enum MemoryType: UInt8, Hashable, Sendable, CaseIterable {
  case uncacheable = 0
  case writeCombining = 1
  case writeThrough = 4
  case writeProtected = 5
  case writeBack = 6

  /// `UC`, `WC`, `WT`, `WP` or `WB`.
  public var name: String {
    switch self {
    case .uncacheable: "UC"
    case .writeCombining: "WC"
    case .writeThrough: "WT"
    case .writeProtected: "WP"
    case .writeBack: "WB"
    }
  }
}
