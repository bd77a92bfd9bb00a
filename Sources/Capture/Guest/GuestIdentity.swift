public import QEMU
public import X86

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
    /// The feature words the guest gets (`feature-words`); nil where QEMU did not say.
    public var features: FeatureReport?
    /// What the command line or the model asked for and the accelerator took away (`filtered-features`).
    public var filteredFeatures: FeatureSet
    /// MAXPHYADDR (`phys-bits`); nil where QEMU did not say.
    public var physicalAddressBits: Int?
    /// CPUID's vendor; nil where QEMU did not say.
    public var vendor: String?
    /// The highest basic and extended leaf; nil where QEMU did not say.
    public var level: UInt32?
    public var extendedLevel: UInt32?
  }

  /// What the first vCPU has; nil where QEMU did not say.
  public var features: FeatureReport? { processors.first?.features }

  /// MAXPHYADDR of the first vCPU; nil where it is not known.
  public var physicalAddressBits: Int? { processors.first?.physicalAddressBits }
}

extension GuestIdentity {
  /// Asks a QEMU whose guest is stopped.
  init(asking session: QEMUSession, version: QEMUVersion) {
    self.version = version
    usesKVM = (try? session.execute(.queryKVM))?["enabled"]?.bool
    let cpus = (try? session.execute(.queryCPUs)).map(VirtualCPU.list) ?? []
    processors = cpus.map { Processor(cpu: $0, asking: session) }
  }
}

extension GuestIdentity.Processor {
  fileprivate init(cpu: VirtualCPU, asking session: QEMUSession) {
    self.cpu = cpu
    func property(_ name: String) -> JSONValue? {
      try? session.execute(.property(name, ofObjectAt: cpu.path))
    }
    features = property("feature-words").flatMap(FeatureReport.init(featureWords:))
    filteredFeatures =
      property("filtered-features").flatMap(FeatureReport.init(featureWords:))?.features ?? FeatureSet()
    physicalAddressBits = property("phys-bits")?.uint64.flatMap { Int(exactly: $0) }
    vendor = property("vendor")?.string
    level = property("level")?.uint64.flatMap { UInt32(exactly: $0) }
    extendedLevel = property("xlevel")?.uint64.flatMap { UInt32(exactly: $0) }
  }
}
