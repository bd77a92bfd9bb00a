public import X86

/// Who decided a feature of the guest's processor.
public enum FeatureOrigin: Hashable, Sendable {
  /// The model's definition, by the name that was given.
  case model(String)
  /// A change on the command line, as it was written, such as `-pdpe1gb`.
  case option(String)
  /// What the accelerator offers: `host` and `max` have it all.
  case accelerator(Accelerator)
  /// QEMU turns it on or off in every model under this accelerator.
  case acceleratorDefault(Accelerator)
  /// It was asked for, and the accelerator does not offer it.
  case lackingIn(Accelerator)
  /// It was asked for, and this feature that it depends on is off.
  case dependency(FeatureBit)
  /// It follows from this feature: a state component of XSAVE, or a bit that AMD repeats.
  case consequence(of: FeatureBit)
  /// It follows from the number of vCPUs or from another setting than a feature: `several vCPUs`.
  case circumstance(String)
}

/// Whether the guest has a feature, and who decided that.
public struct FeatureDecision: Hashable, Sendable {
  /// Nil where nothing at hand tells.
  public var isOn: Bool?
  /// Nil where `isOn` is.
  public var origin: FeatureOrigin?

  public init(isOn: Bool?, origin: FeatureOrigin?) {
    self.isOn = isOn
    self.origin = origin
  }
}

/// Why there is no such processor.
public enum CPUSelectionError: Error, Hashable, Sendable {
  /// This QEMU has no such model.
  case unknownModel(String)
  /// `host` is there under KVM only.
  case needsKVM(model: String)
}

/// The processor that a guest gets: from `-cpu`, the model's definition, and what the accelerator offers.
///
/// The steps are QEMU's (`target/i386/cpu.c: x86_cpu_load_model, x86_cpu_expand_features, x86_cpu_filter_features,
/// x86_cpu_realizefn`, 7.2), and the results those of each of its models, started and asked.
public struct GuestProcessor: Sendable {
  public let selection: CPUSelection
  public let accelerator: Accelerator
  /// The model's definition; nil for `host` and `max`.
  public let model: CPUModel?
  /// The feature words as QEMU has them (`feature-words`).
  public private(set) var features = FeatureSet()
  /// What was asked for and the accelerator does not offer (`filtered-features`).
  public private(set) var filteredFeatures = FeatureSet()
  /// The bits of which nothing tells whether the guest has them: all of them, for `host` and `max` of an unknown host.
  public private(set) var isComplete = true
  /// CPUID's vendor; nil where it is the host's and that is not known.
  public private(set) var vendor: String?
  public private(set) var signature: ProcessorSignature?
  /// The highest basic and extended leaf.
  public private(set) var level: UInt32 = 0
  public private(set) var extendedLevel: UInt32 = 0

  private let machineChanges: [CPUSelection.Change]
  private var origins: [FeatureBit: FeatureOrigin] = [:]
  private let setFeatures: FeatureSet
  private let offer: AcceleratorOffer?
  private let table: CPUModelTable

  /// - Parameters:
  ///   - offer: What the accelerator can give; nil where it is not known, and then nothing is taken away.
  ///   - machine: The machine type, such as `microvm`; nil for QEMU's default.
  public init(
    _ selection: CPUSelection, accelerator: Accelerator, offer: AcceleratorOffer?, table: CPUModelTable = .shipped,
    machine: String? = nil
  ) throws(CPUSelectionError) {
    self.selection = selection
    self.accelerator = accelerator
    self.offer = offer
    self.table = table
    model = table.model(named: selection.model, usesNewestVersions: machine == "microvm")
    machineChanges = MachineCompatibility.changes(of: selection.model, on: machine)
    setFeatures = FeatureSet((machineChanges + selection.allChanges).filter { $0.isFeatureSwitch }.flatMap(\.name.bits))
    if model == nil, !selection.isAccelerated { throw .unknownModel(selection.model) }
    if selection.model == "host", accelerator == .tcg { throw .needsKVM(model: selection.model) }
    loadModel()
    applyChanges()
    if selection.isAccelerated { takeOffer() }
    applyDependencies()
    if accelerator != .kvm || selection.decision(on: "kvm")?.isOn == false {
      features[.cpuid(0x4000_0001, 0, .eax)] = 0
    }
    deriveStateComponents()
    raiseLevels()
    filter()
    repeatForAMD()
  }

  // MARK: The steps

  private mutating func loadModel() {
    vendor = accelerator == .kvm && model?.name != "base" ? offer?.vendor : model?.vendor ?? offer?.vendor
    signature = (model?.signature ?? offer?.signature).map { signature in
      ProcessorSignature(
        family: number("family") ?? signature.family, model: number("model") ?? signature.model,
        stepping: number("stepping") ?? signature.stepping)
    }
    guard let model else { return }
    features = model.features
    level = number("min-level") ?? model.level
    extendedLevel = number("min-xlevel") ?? model.extendedLevel
    if model.name != "base" { apply(defaults) }
    if let vendor = selection.property("vendor")?.value { self.vendor = vendor }
  }

  /// The last number that the command line, or else the machine type, gives to a setting.
  private func number(_ name: CPUFeatureName) -> UInt32? {
    selection.number(name) ?? machineSetting(name).flatMap(CPUSelection.number)
  }

  private func machineSetting(_ name: CPUFeatureName) -> String? {
    guard case .property(let value)? = machineChanges.last(where: { $0.name == name })?.form else { return nil }
    return value
  }

  private var defaults: CPUModelTable.Defaults {
    switch accelerator {
    case .kvm:
      (table.kvmDefaults ?? CPUModelTable.shipped.kvmDefaults ?? CPUModelTable.Defaults())
        .with(offer?.interruptControllers ?? .inKernel)
    case .tcg: table.tcgDefaults
    default: CPUModelTable.Defaults()
    }
  }

  private mutating func apply(_ defaults: CPUModelTable.Defaults) {
    for bit in defaults.on.bits where !features[bit] { set(bit, true, .acceleratorDefault(accelerator)) }
    for bit in defaults.off.bits where features[bit] { set(bit, false, .acceleratorDefault(accelerator)) }
  }

  /// Properties in order, then every `+feature`, then every `-feature`.
  private mutating func applyChanges() {
    let changes = selection.allChanges
    for change in machineChanges + changes {
      if case .property(let value) = change.form, let isOn = CPUSelection.boolean(value) { set(change, isOn) }
    }
    for change in changes where change.form == .plus { set(change, true) }
    for change in changes where change.form == .minus { set(change, false) }
  }

  private mutating func set(_ change: CPUSelection.Change, _ isOn: Bool) {
    for bit in change.name.bits { set(bit, isOn, .option(change.text)) }
  }

  private mutating func takeOffer() {
    guard let offer else {
      isComplete = false
      return
    }
    if accelerator == .kvm {
      level = offer.level
      extendedLevel = offer.extendedLevel
    }
    var offered = offer.features.subtracting(offer.featuresOnRequest).subtracting(setFeatures)
    offered = offered.intersection(selection.isMigratable ? migratable : ownWords)
    for bit in offered.bits where !features[bit] { set(bit, true, .accelerator(accelerator)) }
  }

  /// What QEMU has a name for, and the state components that it can migrate (`x86_cpu_get_migratable_flags`, 7.2).
  private var migratable: FeatureSet {
    var features = table.knownFeatures
    features[.cpuid(0x8000_0007, 0, .edx)] &= ~(1 << 8)
    features[.cpuid(0xD, 0, .eax)] = 0x2FF
    return features
  }

  /// All bits of the words that QEMU has names in, or derives.
  private var ownWords: FeatureSet {
    let words = table.knownFeatures.nonemptyWords + StateComponent.words
    return FeatureSet(Dictionary(words.map { ($0, UInt64.max) }, uniquingKeysWith: { first, _ in first }))
  }

  private mutating func applyDependencies() {
    for dependency in FeatureDependency.all where !features[dependency.needed] {
      let lost = features[dependency.word] & dependency.mask
      guard lost != 0 else { continue }
      filteredFeatures[dependency.word] |= lost & setFeatures[dependency.word]
      for bit in ([dependency.word: lost] as FeatureSet).bits { set(bit, false, .dependency(dependency.needed)) }
    }
  }

  private mutating func deriveStateComponents() {
    for word in StateComponent.words { features[word] = 0 }
    guard features[StateComponent.xsave] else { return }
    for component in StateComponent.all where features[component.feature] {
      set(component.bit, true, .consequence(of: component.feature))
    }
  }

  /// `full-cpuid-auto-level`: leaves that have features are there.
  private mutating func raiseLevels() {
    let isAutomatic =
      selection.decision(on: "full-cpuid-auto-level")?.isOn
      ?? (machineSetting("full-cpuid-auto-level") != "off")
    for case .cpuid(let leaf, let subleaf, let register) in features.nonemptyWords {
      let word = FeatureWord.cpuid(leaf, subleaf, register)
      guard word == .cpuid(7, 0, .ebx) || isAutomatic && Self.levelRaisingWords.contains(word) else { continue }
      if leaf < 0x4000_0000 {
        level = max(level, leaf)
      } else if leaf >> 16 == 0x8000 {
        extendedLevel = max(extendedLevel, leaf)
      }
    }
    if isAutomatic {
      if features[FeatureBit(.cpuid(7, 0, .ebx), 25)] { level = max(level, 0x14) }
      if features[FeatureBit(.cpuid(7, 0, .ebx), 2)] { level = max(level, 0x12) }
      if features[FeatureBit(.cpuid(0x8000_0001, 0, .ecx), 2)] { extendedLevel = max(extendedLevel, 0x8000_000A) }
    }
    level = number("level") ?? level
    extendedLevel = number("xlevel") ?? extendedLevel
  }

  private static let levelRaisingWords: Set<FeatureWord> = [
    .cpuid(1, 0, .edx), .cpuid(1, 0, .ecx), .cpuid(6, 0, .eax), .cpuid(7, 0, .ecx), .cpuid(7, 1, .eax),
    .cpuid(0x8000_0001, 0, .edx), .cpuid(0x8000_0001, 0, .ecx), .cpuid(0x8000_0007, 0, .edx),
    .cpuid(0x8000_0008, 0, .ebx), .cpuid(0x8000_000A, 0, .edx), .cpuid(0xD, 1, .eax),
  ]

  private mutating func filter() {
    guard let offer else { return }
    let lost = features.subtracting(offer.features)
    filteredFeatures = filteredFeatures.union(lost)
    guard selection.decision(on: "x-force-features")?.isOn != true else { return }
    for bit in lost.bits { set(bit, false, .lackingIn(accelerator)) }
  }

  private mutating func repeatForAMD() {
    guard vendor == "AuthenticAMD" else { return }
    let word = FeatureWord.cpuid(0x8000_0001, 0, .edx)
    for number in 0..<32 where FeatureWord.repeatedByAMD & 1 << UInt64(number) != 0 {
      let original = FeatureBit(.cpuid(1, 0, .edx), number)
      set(FeatureBit(word, number), features[original], .consequence(of: original))
    }
  }

  private mutating func set(_ bit: FeatureBit, _ isOn: Bool, _ origin: FeatureOrigin) {
    features[bit] = isOn
    origins[bit] = origin
  }
}

extension GuestProcessor {
  /// Whether the guest has what the bit stands for, and who decided that.
  public func decision(on bit: FeatureBit) -> FeatureDecision {
    if let origin = origins[bit] { return FeatureDecision(isOn: features[bit], origin: origin) }
    guard isComplete else { return FeatureDecision(isOn: nil, origin: nil) }
    let origin: FeatureOrigin = model == nil ? .accelerator(accelerator) : .model(selection.model)
    return FeatureDecision(isOn: features[bit], origin: origin)
  }

  /// Who decided the bit, where that was not the model; nil where it was.
  public func originIfChanged(of bit: FeatureBit) -> FeatureOrigin? { origins[bit] }

  /// Whether the guest has the feature, and who decided that.
  public func decision(on feature: ProcessorFeature) -> FeatureDecision { decision(on: feature.bit) }

  /// MAXPHYADDR and who decided it; nil where nothing tells.
  ///
  /// `target/i386/cpu.c: x86_cpu_realizefn` and `host-cpu.c: host_cpu_adjust_phys_bits`, 7.2: with long mode
  /// `host-phys-bits` under KVM (the default of `host` and `max`), else `phys-bits`, else 40; without long mode 36
  /// with PSE-36, else 32. Checked live.
  public var physicalAddressBits: (value: Int, origin: FeatureOrigin)? {
    let longMode = decision(on: .lm)
    guard let hasLongMode = longMode.isOn ?? (selection.isAccelerated ? true : nil) else { return nil }
    guard hasLongMode else {
      let pse36 = decision(on: .pse36)
      guard let isOn = pse36.isOn, let origin = pse36.origin else { return nil }
      return (isOn ? 36 : 32, origin)
    }
    if accelerator == .kvm, let origin = hostBitsOrigin {
      return offer?.physicalAddressBits.map { (min($0, hostBitsLimit), origin) }
    }
    if let (text, change) = selection.property("phys-bits"), text != "0" {
      return CPUSelection.number(text).map { (Int($0), .option(change.text)) }
    }
    let ownBits = model?.physicalAddressBits ?? 0
    return ownBits == 0 ? (40, .circumstance("QEMU's default")) : (ownBits, .model(selection.model))
  }

  /// Why the guest's MAXPHYADDR is the host's; nil where it is not.
  private var hostBitsOrigin: FeatureOrigin? {
    if let (isOn, change) = selection.decision(on: "host-phys-bits") { return isOn ? .option(change.text) : nil }
    return selection.isAccelerated ? .accelerator(accelerator) : nil
  }

  private var hostBitsLimit: Int {
    selection.number("host-phys-bits-limit").flatMap { $0 == 0 ? nil : Int($0) } ?? .max
  }
}
