public import X86

/// Several sources of one guest's memory, the better ones first: each byte comes from the first that has it.
public struct LayeredMemory: PhysicalMemory {
  public let layers: [any PhysicalMemory]

  public init(_ layers: [any PhysicalMemory]) { self.layers = layers }

  /// What no layer has is unavailable for the first reason that tells more than that a layer does not contain it.
  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    var position = 0
    while position < buffer.count {
      let (next, overflows) = address.rawValue.addingReportingOverflow(UInt64(position))
      guard !overflows else { throw UnavailableMemory(address: PhysicalAddress(next), reason: .unbacked) }
      position = try readRun(PhysicalAddress(next), into: &buffer, from: position)
    }
  }

  /// Fills `buffer` from `position` on as far as the first layer that has `address` goes; returns the end of that part.
  private func readRun(
    _ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>, from position: Int
  ) throws(UnavailableMemory) -> Int {
    var reason = UnavailableMemory.Reason.notCaptured
    for layer in layers {
      let wanted = buffer.count - position
      switch Self.read(layer, address, into: &buffer, position..<buffer.count) {
      case nil: return buffer.count
      case let failure?:
        let available = failure.address.rawValue &- address.rawValue
        guard available > 0, available < UInt64(wanted) else {
          if reason == .notCaptured { reason = failure.reason }
          continue
        }
        let end = position + Int(available)
        if Self.read(layer, address, into: &buffer, position..<end) == nil { return end }
      }
    }
    throw UnavailableMemory(address: address, reason: reason)
  }

  /// Reads part of `buffer`; returns what was wrong, or nil.
  private static func read(
    _ layer: any PhysicalMemory, _ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>, _ part: Range<Int>
  ) -> UnavailableMemory? {
    do throws(UnavailableMemory) {
      if part.count == buffer.count {
        try layer.read(address, into: &buffer)
        return nil
      }
      var bytes = [UInt8](repeating: 0, count: part.count)
      var span = bytes.mutableSpan
      try layer.read(address, into: &span)
      for index in bytes.indices { buffer[part.lowerBound + index] = bytes[index] }
      return nil
    } catch {
      return error
    }
  }
}
