public import X86

/// The CPU models of one QEMU, and what it makes of them under each accelerator.
public struct CPUModelTable: Hashable, Sendable {
  /// The version of QEMU that was asked, such as `7.2.22`.
  public var version: String
  /// The models by their name with its version.
  public var models: [String: CPUModel]
  /// What names without a version, and other names, stand for on the `pc` machine: `Haswell` is `Haswell-v1`.
  public var aliases: [String: String]
  /// The features that this QEMU has names for.
  public var knownFeatures: FeatureSet
  /// The features that TCG can give a guest.
  public var tcgFeatures: FeatureSet
  /// What QEMU changes about every model under KVM; nil where no KVM was there to measure it.
  public var kvmDefaults: Defaults?
  /// What QEMU changes about every model under TCG; `vme` is off.
  public var tcgDefaults: Defaults

  /// Features that an accelerator turns on or off in every model, before the command line is heard
  /// (`target/i386/kvm/kvm-cpu.c: kvm_default_props`, `tcg/tcg-cpu.c: tcg_default_props`, 7.2).
  public struct Defaults: Hashable, Sendable {
    public var on: FeatureSet
    public var off: FeatureSet

    public init(on: FeatureSet = FeatureSet(), off: FeatureSet = FeatureSet()) {
      self.on = on
      self.off = off
    }
  }

  public init(
    version: String, models: [CPUModel], aliases: [String: String], knownFeatures: FeatureSet, tcgFeatures: FeatureSet,
    kvmDefaults: Defaults?, tcgDefaults: Defaults
  ) {
    self.version = version
    self.models = Dictionary(models.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    self.aliases = aliases
    self.knownFeatures = knownFeatures
    self.tcgFeatures = tcgFeatures
    self.kvmDefaults = kvmDefaults
    self.tcgDefaults = tcgDefaults
  }

  /// The model of that name, spelled as QEMU wants it, or of what the name stands for.
  ///
  /// Nil for a name that this QEMU does not have, and for `host` and `max`, which are what the accelerator offers.
  ///
  /// - Parameter usesNewestVersions: Whether a name without a version stands for the newest one, as on `microvm`.
  public func model(named name: String, usesNewestVersions: Bool = false) -> CPUModel? {
    if let model = models[name] { return model }
    guard let model = aliases[name].flatMap({ models[$0] }) else { return nil }
    guard usesNewestVersions, model.family == name else { return model }
    return versions(of: name).last ?? model
  }

  /// The models that are versions of `family`, from the oldest.
  public func versions(of family: String) -> [CPUModel] {
    models.values.filter { $0.family == family && $0.version != nil }
      .sorted { ($0.version ?? 0) < ($1.version ?? 0) }
  }

  /// Every name that `-cpu` takes, but `host` and `max`, in alphabetical order.
  public var names: [String] { (Array(models.keys) + Array(aliases.keys)).sorted() }

  /// The name by which people call the model: the alias without a version, or with a suffix such as `-noTSX`, else its own.
  public func plainName(of model: CPUModel) -> String {
    aliases.filter { $0.value == model.name }.keys.min { ($0.count, $0) < ($1.count, $1) } ?? model.name
  }

  /// The models that have all these features, in alphabetical order.
  public func models(having features: FeatureSet) -> [CPUModel] {
    models.values.filter { features.subtracting($0.features).isEmpty }.sorted { $0.name < $1.name }
  }
}

extension CPUModelTable.Defaults {
  /// KVM's, with the interrupt controllers there (`kvm_cpu_instance_init`, 7.2).
  func with(_ controllers: AcceleratorOffer.InterruptControllers) -> Self {
    var defaults = self
    switch controllers {
    case .inKernel: break
    case .split: defaults.on[FeatureBit(.cpuid(0x4000_0001, 0, .eax), 15)] = true
    case .inQEMU:
      let x2apic = FeatureBit(.cpuid(1, 0, .ecx), 21)
      defaults.on[x2apic] = false
      defaults.off[x2apic] = true
    }
    return defaults
  }
}
