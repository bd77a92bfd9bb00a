/// The 4096 bytes of a paging structure, read at once.
@usableFromInline
struct TablePage {
  @usableFromInline
  var bytes = InlineArray<4096, UInt8>(repeating: 0)

  @inlinable
  init(at address: PhysicalAddress, in memory: borrowing some PhysicalMemory) throws(UnavailableMemory) {
    var span = bytes.mutableSpan
    try memory.read(address, into: &span)
  }
}

extension RawSpan {
  /// The entry `index` of a table, of 4 bytes or of 8.
  @inlinable
  func tableEntry(_ index: Int, isTwoLevel: Bool) -> PageTableEntry {
    // Safe: any bytes are an integer, and the loads are bounds-checked.
    PageTableEntry(
      isTwoLevel
        ? UInt64(UInt32(littleEndian: unsafe unsafeLoad(fromByteOffset: index &* 4, as: UInt32.self)))
        : UInt64(littleEndian: unsafe unsafeLoad(fromByteOffset: index &* 8, as: UInt64.self)))
  }
}
