public import QEMU

/// What QEMU says of itself and of the guest before the guest's first instruction.
public struct GuestIdentity: Hashable, Sendable {
  /// From the greeting.
  public var version: QEMUVersion
  /// Whether KVM runs the guest (`query-kvm`); nil where QEMU did not say.
  public var usesKVM: Bool?
  public var processors: [Processor]

  /// A vCPU and what its CPUID is made of after the accelerator has taken away what it lacks.
  public struct Processor: Hashable, Sendable {
    public var cpu: VirtualCPU
    /// QEMU's properties of the CPU that decide how page tables are read: `pdpe1gb`, `nx`, `la57` (booleans) and
    /// `phys-bits`. One that this QEMU lacks is left out.
    public var properties: [String: JSONValue]
    /// The feature words the guest gets (`feature-words`).
    public var features: [FeatureWord]
    /// What the command line or the model asked for and the accelerator took away (`filtered-features`).
    public var filteredFeatures: [FeatureWord]
  }

  /// One register of one CPUID leaf, as far as it consists of features (qapi/machine-target.json: X86CPUFeatureWordInfo).
  public struct FeatureWord: Hashable, Sendable {
    public var leaf: UInt32
    /// Nil for a leaf without subleaves.
    public var subleaf: UInt32?
    /// `EAX`, `EBX`, `ECX` or `EDX`.
    public var register: String
    public var bits: UInt32
  }

  /// The value of a boolean property of the first vCPU; nil where it is not known.
  public func hasFeature(_ name: String) -> Bool? { processors.first?.properties[name]?.bool }

  /// MAXPHYADDR of the first vCPU; nil where it is not known.
  public var physicalAddressBits: Int? {
    processors.first?.properties["phys-bits"]?.uint64.flatMap { Int(exactly: $0) }
  }
}

extension GuestIdentity {
  static let pagingProperties = ["pdpe1gb", "nx", "la57", "phys-bits"]

  /// Asks a QEMU.
  init(asking session: any QMPSession, version: QEMUVersion) {
    let usesKVM = (try? session.execute(.queryKVM))?["enabled"]?.bool
    let cpus = (try? session.execute(.queryCPUs)).map(VirtualCPU.list) ?? []
    self.init(version: version, usesKVM: usesKVM, cpus: cpus) { name, path in
      try? session.execute(.property(name, ofObjectAt: path))
    }
  }

  /// - Parameter property: A property of the object at a path, by its name.
  init(version: QEMUVersion, usesKVM: Bool?, cpus: [VirtualCPU], property: (String, String) -> JSONValue?) {
    self.version = version
    self.usesKVM = usesKVM
    processors = cpus.map { cpu in Processor(cpu: cpu) { property($0, cpu.path) } }
  }
}

extension GuestIdentity.Processor {
  fileprivate init(cpu: VirtualCPU, property: (String) -> JSONValue?) {
    self.cpu = cpu
    var properties: [String: JSONValue] = [:]
    for name in GuestIdentity.pagingProperties { properties[name] = property(name) }
    self.properties = properties
    features = (property("feature-words")?.array ?? []).compactMap(GuestIdentity.FeatureWord.init)
    filteredFeatures = (property("filtered-features")?.array ?? []).compactMap(GuestIdentity.FeatureWord.init)
  }
}

extension GuestIdentity.FeatureWord {
  fileprivate init?(_ value: JSONValue) {
    guard
      let leaf = value["cpuid-input-eax"]?.uint64.flatMap({ UInt32(exactly: $0) }),
      let register = value["cpuid-register"]?.string,
      let bits = value["features"]?.uint64.flatMap({ UInt32(exactly: $0) })
    else { return nil }
    self.leaf = leaf
    self.subleaf = value["cpuid-input-ecx"]?.uint64.flatMap { UInt32(exactly: $0) }
    self.register = register
    self.bits = bits
  }
}
