public import X86

/// kvm_mmio.
public struct KVMMMIO: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case read
    case write
    /// The read must be completed by QEMU.
    case unsatisfiedRead
  }

  public var kind: Kind
  public var length: Int
  public var address: PhysicalAddress
  public var value: UInt64

  public init(kind: Kind, length: Int, address: PhysicalAddress, value: UInt64) {
    self.kind = kind
    self.length = length
    self.address = address
    self.value = value
  }
}
