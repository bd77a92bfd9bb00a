/// Somebody who is shown a whole address space, by ascending linear address.
public protocol AddressSpaceVisitor {
  /// Pages that a walk arrives at. Neighbours that differ in nothing come as one range.
  mutating func visit(_ range: MappedRange)

  /// Something of note in the tables. A range that begins before it may be shown after it, for it may go on.
  mutating func visit(_ finding: TableFinding)

  /// A table that is about to be gone through.
  ///
  /// - Parameter entry: What leads to it; nil for the root.
  /// - Returns: Whether to go through it.
  mutating func enter(_ table: PhysicalAddress, _ structure: PagingStructure, by entry: PageTableEntry?) -> Bool
}

extension AddressSpaceVisitor {
  @inlinable
  public mutating func enter(
    _ table: PhysicalAddress, _ structure: PagingStructure, by entry: PageTableEntry?
  ) -> Bool { true }
}

/// How a scan of an address space ended.
public enum AddressSpaceScanEnd: Hashable, Sendable {
  /// All of it was shown.
  case complete
  /// There is no paging: every linear address is the physical one.
  case unpaged
  /// The root cannot be read, from this address on; what could be read was shown.
  case rootUnavailable(UnavailableMemory)
  /// The PDPTE registers cannot hold what is in memory now, or what is there is not known.
  case pdptesNotLoadable(PDPTELoadFault)
  /// The limit was reached; what begins at this address was not shown.
  case tooManyTables(at: LinearAddress)
}
