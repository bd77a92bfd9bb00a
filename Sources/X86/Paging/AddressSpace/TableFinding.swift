/// Something of note in the tables of an address space: an entry that a walk fails at, or that leads back up.
public struct TableFinding: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// Reserved bits are set, or may be: see ``ReservedBitViolations/areDefinite``.
    case reservedBits(ReservedBitViolations)
    /// The table that the entry leads to cannot be read, from this address on; what of it can be read was shown before.
    case tableUnavailable(UnavailableMemory)
    /// The entry leads to a table that the walk has come through: a self-map, by which a kernel reaches its own tables.
    case selfMap
  }

  public var kind: Kind
  /// The structure in which the entry lies.
  public var structure: PagingStructure
  /// The number of the entry in it.
  public var index: Int
  public var entryAddress: PhysicalAddress
  public var entry: PageTableEntry
  /// The first linear address that the entry governs.
  public var start: LinearAddress
  /// How many bytes of linear addresses it governs.
  public var span: UInt64
  /// What the entry and those above it allow.
  public var rights: PageRights

  public init(
    kind: Kind, structure: PagingStructure, index: Int, entryAddress: PhysicalAddress, entry: PageTableEntry,
    start: LinearAddress, span: UInt64, rights: PageRights
  ) {
    self.kind = kind
    self.structure = structure
    self.index = index
    self.entryAddress = entryAddress
    self.entry = entry
    self.start = start
    self.span = span
    self.rights = rights
  }
}
