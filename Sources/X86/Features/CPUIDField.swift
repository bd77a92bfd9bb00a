/// Some bits of one register that CPUID returns.
public struct CPUIDField: Hashable, Sendable {
  /// What software puts into EAX, such as 0x80000001.
  public var leaf: UInt32
  /// What software puts into ECX; 0 for a leaf that has no subleaves.
  public var subleaf: UInt32
  public var register: CPUIDRegister
  public var lowestBit: Int
  /// How many bits, 1 to 32.
  public var width: Int

  public init(leaf: UInt32, subleaf: UInt32 = 0, register: CPUIDRegister, lowestBit: Int, width: Int = 1) {
    self.leaf = leaf
    self.subleaf = subleaf
    self.register = register
    self.lowestBit = lowestBit
    self.width = width
  }

  /// MAXPHYADDR; QEMU's `phys-bits` and `host-phys-bits`.
  public static var maximumPhysicalAddressBits: Self {
    Self(leaf: 0x8000_0008, register: .eax, lowestBit: 0, width: 8)
  }
}

/// A register that CPUID writes.
public enum CPUIDRegister: String, Hashable, Sendable, CaseIterable {
  case eax
  case ebx
  case ecx
  case edx
}
