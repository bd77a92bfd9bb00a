import Files
public import X86

/// One run of physical memory.
public struct FlatMemory: PhysicalMemory, Hashable, Sendable {
  /// The physical address of the first byte.
  public let base: PhysicalAddress
  public let bytes: [UInt8]

  /// Holds `bytes` from `base` on. Bytes that would lie above the highest 64-bit address cannot be read.
  public init(_ bytes: [UInt8], at base: PhysicalAddress) {
    self.base = base
    self.bytes = bytes
  }

  /// How many bytes have an address.
  private var count: UInt64 {
    let last = UInt64.max - base.rawValue
    return last < UInt64(bytes.count) ? last + 1 : UInt64(bytes.count)
  }

  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    guard !buffer.isEmpty else { return }
    let offset = address.rawValue &- base.rawValue
    guard address >= base, offset < count else { throw UnavailableMemory(address: address, reason: .notCaptured) }
    let available = count - offset
    guard UInt64(buffer.count) <= available else {
      let (next, overflows) = address.rawValue.addingReportingOverflow(available)
      throw UnavailableMemory(address: PhysicalAddress(next), reason: overflows ? .unbacked : .notCaptured)
    }
    // Safe: a byte has no padding.
    buffer.replace(at: 0, with: unsafe bytes.span.bytes.extracting(Int(offset)..<Int(offset) + buffer.count))
  }
}
