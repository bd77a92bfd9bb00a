/// The guest's physical memory, wherever its bytes come from.
public protocol PhysicalMemory {
  /// Fills `buffer` with the bytes at `address` and the addresses after it.
  ///
  /// Bytes that are known not to exist and bytes that merely were not kept are both unavailable; a conforming type
  /// never makes up contents. What `buffer` holds after an error is unspecified.
  func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory)

  /// The little-endian 64-bit word at `address`. A type that can do better than read its bytes may: a page walk does
  /// little else.
  func loadUInt64(at address: PhysicalAddress) throws(UnavailableMemory) -> UInt64

  /// The little-endian 32-bit word at `address`.
  func loadUInt32(at address: PhysicalAddress) throws(UnavailableMemory) -> UInt32
}

/// Memory that notes what of it is read. A search through much of it is for ``plain``.
public protocol NotingMemory: PhysicalMemory {
  /// The same memory, which notes nothing.
  var plain: any PhysicalMemory { get }
}

/// Memory that could not be read.
public struct UnavailableMemory: Error, Hashable, Sendable {
  /// Why the bytes cannot be had.
  public enum Reason: Hashable, Sendable {
    /// Nothing backs the address: neither RAM nor ROM is there.
    case unbacked
    /// A device answers at the address; reading it could change its state.
    case device
    /// The address may well hold memory, but this source does not contain it.
    case notCaptured
  }

  /// The first address that could not be read.
  public var address: PhysicalAddress
  public var reason: Reason

  public init(address: PhysicalAddress, reason: Reason) {
    self.address = address
    self.reason = reason
  }
}

extension PhysicalMemory {
  /// The little-endian 64-bit word at `address`.
  @inlinable
  public func loadUInt64(at address: PhysicalAddress) throws(UnavailableMemory) -> UInt64 {
    var bytes = InlineArray<8, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    try read(address, into: &span)
    // Safe: any bytes are an integer, and the load is bounds-checked. Putting them together one by one took a quarter
    // of a page walk.
    let word = unsafe bytes.span.bytes.unsafeLoadUnaligned(as: UInt64.self)
    return UInt64(littleEndian: word)
  }

  /// The little-endian 32-bit word at `address`.
  @inlinable
  public func loadUInt32(at address: PhysicalAddress) throws(UnavailableMemory) -> UInt32 {
    var bytes = InlineArray<4, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    try read(address, into: &span)
    // Safe: any bytes are an integer, and the load is bounds-checked. Putting them together one by one took a quarter
    // of a page walk.
    let word = unsafe bytes.span.bytes.unsafeLoadUnaligned(as: UInt32.self)
    return UInt32(littleEndian: word)
  }
}
