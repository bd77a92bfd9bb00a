public import X86

/// Several sources of one guest's memory, the better ones first: each byte comes from the first that has it.
///
/// Where a better source lacks a byte, it is asked for each byte after it too, so a source that is slow to say no should
/// not be above others.
public struct LayeredMemory: PhysicalMemory {
  public let layers: [any PhysicalMemory]

  public init(_ layers: [any PhysicalMemory]) { self.layers = layers }

  /// What no layer has is unavailable for the first reason that tells more than that a layer does not contain it.
  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    guard let best = layers.first else {
      if !buffer.isEmpty { throw UnavailableMemory(address: address, reason: .notCaptured) }
      return
    }
    do throws(UnavailableMemory) {
      try best.read(address, into: &buffer)
    } catch {
      try readBytes(address, into: &buffer)
    }
  }

  private func readBytes(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    for index in 0..<buffer.count {
      let (next, overflows) = address.rawValue.addingReportingOverflow(UInt64(index))
      guard !overflows else { throw UnavailableMemory(address: PhysicalAddress(next), reason: .unbacked) }
      buffer[index] = try byte(at: PhysicalAddress(next))
    }
  }

  private func byte(at address: PhysicalAddress) throws(UnavailableMemory) -> UInt8 {
    var reason = UnavailableMemory.Reason.notCaptured
    for layer in layers {
      do throws(UnavailableMemory) {
        var byte = InlineArray<1, UInt8>(repeating: 0)
        var span = byte.mutableSpan
        try layer.read(address, into: &span)
        return byte[0]
      } catch {
        if reason == .notCaptured { reason = error.reason }
      }
    }
    throw UnavailableMemory(address: address, reason: reason)
  }
}
