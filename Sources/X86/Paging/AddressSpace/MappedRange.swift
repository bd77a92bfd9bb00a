/// A run of linear addresses that leads to a run of physical addresses, through pages of one size that all allow the
/// same.
///
/// Accessed and dirty bits do not count: they change as the guest runs, and decide no access.
public struct MappedRange: Hashable, Sendable {
  public var start: LinearAddress
  /// In bytes; a multiple of the page size.
  public var size: UInt64
  public var physicalStart: PhysicalAddress
  /// 4 KiB, 2 MiB, 4 MiB or 1 GiB.
  public var pageSize: UInt64
  /// What all levels together allow.
  public var rights: PageRights
  public var attributes: PageAttributes
  /// Whether the pages are reached through an entry that leads back to a table above it, and so are tables themselves.
  public var isThroughSelfMap: Bool

  @inlinable
  public init(
    start: LinearAddress, size: UInt64, physicalStart: PhysicalAddress, pageSize: UInt64, rights: PageRights,
    attributes: PageAttributes = PageAttributes(), isThroughSelfMap: Bool = false
  ) {
    self.start = start
    self.size = size
    self.physicalStart = physicalStart
    self.pageSize = pageSize
    self.rights = rights
    self.attributes = attributes
    self.isThroughSelfMap = isThroughSelfMap
  }

  /// The last address inside.
  @inlinable
  public var last: LinearAddress { LinearAddress(start.rawValue &+ (size &- 1)) }

  /// The last physical address inside.
  @inlinable
  public var physicalLast: PhysicalAddress { PhysicalAddress(physicalStart.rawValue &+ (size &- 1)) }

  /// The linear address that leads to a physical one; nil if none here does.
  public func linearAddress(of address: PhysicalAddress) -> LinearAddress? {
    guard address >= physicalStart, address.rawValue - physicalStart.rawValue < size else { return nil }
    return LinearAddress(start.rawValue &+ (address.rawValue - physicalStart.rawValue))
  }

  /// Whether `next` goes on where this range ends, in both kinds of addresses, and allows the same.
  @inlinable
  func isContinued(by next: MappedRange) -> Bool {
    start.rawValue &+ size == next.start.rawValue && physicalStart.rawValue &+ size == next.physicalStart.rawValue
      && pageSize == next.pageSize && rights == next.rights && attributes == next.attributes
      && isThroughSelfMap == next.isThroughSelfMap
  }
}

/// What a leaf says of its page besides the rights.
public struct PageAttributes: Hashable, Sendable {
  /// PWT in bit 0, PCD in bit 1 and PAT in bit 2: the entry of IA32_PAT that gives the memory type (SDM vol. 3, table
  /// 12-11).
  public var patIndex: UInt8
  /// G.
  public var isGlobal: Bool
  /// The protection key, 0 to 15; 0 where no keys are in force.
  public var protectionKey: UInt8

  @inlinable
  public init(patIndex: UInt8 = 0, isGlobal: Bool = false, protectionKey: UInt8 = 0) {
    self.patIndex = patIndex
    self.isGlobal = isGlobal
    self.protectionKey = protectionKey
  }
}

/// IA32_PAT, MSR 277H: eight memory types for the three bits of a leaf to choose from (SDM vol. 3, 12.12).
public struct PageAttributeTable: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// As a reset leaves it (SDM vol. 3, table 12-12): WB, WT, UC-, UC, and the same again.
  public static let reset = Self(rawValue: 0x0007_0406_0007_0406)

  /// The memory type at an index from 0 to 7 by the manual's abbreviation, `?` for an encoding without meaning.
  ///
  /// Only the three lowest bits of the index count. The type in force also hangs on the MTRRs, and on the second level of
  /// a virtual machine (SDM vol. 3, 12.5.2.2 and 29.3.7).
  public func memoryType(at index: UInt8) -> StaticString {
    switch rawValue >> (8 * UInt64(index & 7)) & 0xFF {
    case 0: "UC"
    case 1: "WC"
    case 4: "WT"
    case 5: "WP"
    case 6: "WB"
    case 7: "UC-"
    default: "?"
    }
  }
}
