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
public enum CPUIDRegister: Hashable, Sendable, CaseIterable {
  case eax
  case ebx
  case ecx
  case edx
}

/// A feature of the processor that one CPUID bit announces, with the names that QEMU and Linux give it.
public struct CPUIDFeature: Sendable {
  public var field: CPUIDField
  /// The property of QEMU's `-cpu`, such as `pdpe1gb`.
  public var qemuName: String
  /// The flag in Linux's /proc/cpuinfo.
  public var linuxName: String

  public init(field: CPUIDField, qemuName: String, linuxName: String) {
    self.field = field
    self.qemuName = qemuName
    self.linuxName = linuxName
  }

  /// Page1GB: 1 GiB pages.
  public static var pdpe1gb: Self {
    Self(
      field: CPUIDField(leaf: 0x8000_0001, register: .edx, lowestBit: 26), qemuName: "pdpe1gb", linuxName: "pdpe1gb")
  }

  /// Execute disable: EFER.NXE may be set.
  public static var nx: Self {
    Self(field: CPUIDField(leaf: 0x8000_0001, register: .edx, lowestBit: 20), qemuName: "nx", linuxName: "nx")
  }

  /// 57-bit linear addresses: CR4.LA57 may be set.
  public static var la57: Self {
    Self(field: CPUIDField(leaf: 7, register: .ecx, lowestBit: 16), qemuName: "la57", linuxName: "la57")
  }
}

/// A feature is its bit; the names follow from it.
extension CPUIDFeature: Hashable {
  public static func == (a: Self, b: Self) -> Bool { a.field == b.field }

  public func hash(into hasher: inout Hasher) { hasher.combine(field) }
}
