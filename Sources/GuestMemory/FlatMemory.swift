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

  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    guard !buffer.isEmpty else { return }
    let count = UInt64(bytes.count)
    let offset = address.rawValue &- base.rawValue
    guard address >= base, offset < count else { throw UnavailableMemory(address: address, reason: .notCaptured) }
    let available = min(count - offset, UInt64(buffer.count))
    guard available == UInt64(buffer.count) else {
      throw UnavailableMemory(behind: address, by: available, reason: .notCaptured)
    }
    guard !address.rawValue.addingReportingOverflow(available - 1).overflow else {
      throw UnavailableMemory(address: PhysicalAddress(0), reason: .unbacked)
    }
    for index in 0..<buffer.count { buffer[index] = bytes[Int(offset) + index] }
  }
}

extension UnavailableMemory {
  /// The bytes up to `count` behind `address` could be read, the next one could not: for `reason`, or because the
  /// address space ends there.
  init(behind address: PhysicalAddress, by count: UInt64, reason: Reason) {
    let (next, overflows) = address.rawValue.addingReportingOverflow(count)
    self.init(address: PhysicalAddress(next), reason: overflows ? .unbacked : reason)
  }
}
