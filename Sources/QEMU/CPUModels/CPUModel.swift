public import X86

/// One of QEMU's x86 CPU models, as it is defined: before an accelerator adds to it or takes away.
public struct CPUModel: Hashable, Sendable {
  /// The name with its version, such as `Haswell-v1`.
  public var name: String
  /// CPUID's vendor, such as `GenuineIntel`; empty for the model `base`. Under KVM the guest sees the host's
  /// (`target/i386/cpu.c: x86_cpu_load_model`, 7.2).
  public var vendor: String
  public var signature: ProcessorSignature
  /// The highest basic and extended leaf at least (`min-level`, `min-xlevel`).
  public var level: UInt32
  public var extendedLevel: UInt32
  /// The model's own `phys-bits`; 0 where QEMU's default holds.
  public var physicalAddressBits: Int
  public var features: FeatureSet
  /// Whether QEMU advises against it.
  public var isDeprecated: Bool

  public init(
    name: String, vendor: String, signature: ProcessorSignature, level: UInt32, extendedLevel: UInt32,
    physicalAddressBits: Int = 0, features: FeatureSet, isDeprecated: Bool = false
  ) {
    self.name = name
    self.vendor = vendor
    self.signature = signature
    self.level = level
    self.extendedLevel = extendedLevel
    self.physicalAddressBits = physicalAddressBits
    self.features = features
    self.isDeprecated = isDeprecated
  }

  /// The name without its version: `Haswell` of `Haswell-v2`.
  public var family: String { Self.split(name)?.family ?? name }

  /// The number of the version; nil for a name without one, such as `base`.
  public var version: Int? { Self.split(name)?.version }

  private static func split(_ name: String) -> (family: String, version: Int)? {
    guard let dash = name.lastIndex(of: "-") else { return nil }
    let suffix = name[name.index(after: dash)...]
    guard suffix.first == "v", let version = Int(suffix.dropFirst()) else { return nil }
    return (String(name[..<dash]), version)
  }
}

/// Family, model and stepping, as CPUID.1:EAX tells them together.
public struct ProcessorSignature: Hashable, Sendable {
  public var family: UInt32
  public var model: UInt32
  public var stepping: UInt32

  public init(family: UInt32, model: UInt32, stepping: UInt32) {
    self.family = family
    self.model = model
    self.stepping = stepping
  }

  /// From CPUID.1:EAX, put together as QEMU does (`target/i386/host-cpu.c: host_cpu_vendor_fms`, 7.2).
  public init(eax: UInt32) {
    family = (eax >> 8 & 0xF) &+ (eax >> 20 & 0xFF)
    model = eax >> 4 & 0xF | (eax & 0xF0000) >> 12
    stepping = eax & 0xF
  }
}
