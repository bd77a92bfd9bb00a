/// The order of an integer's bytes in memory.
public enum ByteOrder: Hashable, Sendable {
  case littleEndian
  case bigEndian
}

extension RawSpan {
  /// The bytes from this offset on; nil if any lies outside.
  @inlinable
  @_lifetime(copy self)
  public func slice(offset: Int, count: Int) -> RawSpan? {
    guard offset >= 0, count >= 0, offset <= byteCount, count <= byteCount &- offset else { return nil }
    return extracting(offset..<(offset &+ count))
  }

  /// The byte at this offset, which must lie inside.
  @inlinable public func byte(at offset: Int) -> UInt8 { load(UInt8.self, at: offset) }

  /// The integer at this offset, all of which must lie inside.
  @inlinable public func load<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, at offset: Int, _ byteOrder: ByteOrder = .littleEndian
  ) -> T {
    // Bounds-checked by the standard library; called unsafe because it would form any type, and any bytes are an
    // integer.
    let value = unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: type)
    return byteOrder == .littleEndian ? T(littleEndian: value) : T(bigEndian: value)
  }
}
