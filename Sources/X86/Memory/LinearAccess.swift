/// A linear access that did not come through: the first address that failed, and why.
public struct LinearAccessFailure: Error, Hashable, Sendable {
  public enum Cause: Hashable, Sendable {
    /// The walk did not arrive.
    case walk(PageWalk)
    /// The walk arrived where the bytes cannot be had.
    case memory(UnavailableMemory)
  }

  public var address: LinearAddress
  public var cause: Cause

  public init(address: LinearAddress, cause: Cause) {
    self.address = address
    self.cause = cause
  }

  /// Whether the access fails for certain; false where what is known does not tell.
  public var isDefinite: Bool {
    switch cause {
    case .walk(let walk): walk.judgement == .refused
    case .memory: false
    }
  }
}

extension Paging {
  /// `count` bytes from a linear address on, each page walked for `access`; at most 4096 bytes.
  ///
  /// Addresses wrap at 32 bits outside long mode.
  public func bytes(
    at address: LinearAddress, count: Int, for access: PageAccess, in memory: borrowing some PhysicalMemory
  ) throws(LinearAccessFailure) -> [UInt8] {
    var bytes: [UInt8] = []
    let count = min(max(count, 0), 4096)
    while bytes.count < count {
      let place = wrapped(address.rawValue &+ UInt64(bytes.count))
      let walk = walk(place, for: access, in: memory)
      guard let physical = walk.outcome.physicalAddress else {
        throw LinearAccessFailure(address: place, cause: .walk(walk))
      }
      let part = min(count - bytes.count, 0x1000 - Int(place.rawValue & 0xFFF))
      var buffer = [UInt8](repeating: 0, count: part)
      do throws(UnavailableMemory) {
        var span = buffer.mutableSpan
        try memory.read(physical, into: &span)
      } catch {
        throw LinearAccessFailure(address: place, cause: .memory(error))
      }
      bytes += buffer
    }
    return bytes
  }

  /// The little-endian 64-bit word at a linear address.
  public func loadUInt64(
    at address: LinearAddress, for access: PageAccess, in memory: borrowing some PhysicalMemory
  ) throws(LinearAccessFailure) -> UInt64 {
    try bytes(at: address, count: 8, for: access, in: memory).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private func wrapped(_ address: UInt64) -> LinearAddress {
    switch mode {
    case .fourLevel, .fiveLevel: LinearAddress(address)
    case .none, .twoLevel, .pae: LinearAddress(address & 0xFFFF_FFFF)
    }
  }
}
