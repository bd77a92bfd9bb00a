public import QEMU
public import X86

/// What QEMU says of itself and of the guest's vCPUs.
public struct GuestIdentity: Hashable, Sendable {
  /// From the greeting.
  public var version: QEMUVersion
  /// Whether KVM runs the guest (`query-kvm`); nil where QEMU did not say.
  public var usesKVM: Bool?
  public var processors: [Processor]

  /// What was known of a QEMU elsewhere, or earlier.
  public init(version: QEMUVersion, usesKVM: Bool?, processors: [Processor]) {
    self.version = version
    self.usesKVM = usesKVM
    self.processors = processors
  }

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

    /// A vCPU of which nothing else is known.
    public init(cpu: VirtualCPU) {
      self.cpu = cpu
      filteredFeatures = FeatureSet()
    }
  }

  /// What the first vCPU has; nil where QEMU did not say.
  public var features: FeatureReport? { processors.first?.features }

  /// MAXPHYADDR of the first vCPU; nil where it is not known.
  public var physicalAddressBits: Int? { processors.first?.physicalAddressBits }
}

extension GuestIdentity {
  /// Asks a QEMU.
  init(asking session: any QMPSession, version: QEMUVersion) {
    self.init(listedBy: session, version: version)
    takeProperties(asking: session)
  }

  /// Asks a QEMU which vCPUs there are, and nothing about them.
  init(listedBy session: any QMPSession, version: QEMUVersion) {
    let usesKVM = (try? session.execute(.queryKVM))?["enabled"]?.bool
    let cpus = (try? session.execute(.queryCPUs)).map(VirtualCPU.list) ?? []
    self.init(version: version, usesKVM: usesKVM, processors: cpus.map(Processor.init(cpu:)))
  }

  /// Asks what the CPUID of each vCPU is made of.
  mutating func takeProperties(asking session: any QMPSession) {
    processors = processors.map { processor in
      Processor(cpu: processor.cpu) { try? session.execute(.property($0, ofObjectAt: processor.cpu.path)) }
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
    self.init(cpu: cpu)
    features = property("feature-words").flatMap(FeatureReport.init(featureWords:))
    filteredFeatures =
      property("filtered-features").flatMap(FeatureReport.init(featureWords:))?.features ?? FeatureSet()
    physicalAddressBits = property("phys-bits")?.uint64.flatMap { Int(exactly: $0) }
    vendor = property("vendor")?.string
    level = property("level")?.uint64.flatMap { UInt32(exactly: $0) }
    extendedLevel = property("xlevel")?.uint64.flatMap { UInt32(exactly: $0) }
  }
}
