public import X86

/// A `-cpu` that works on every one of several hosts.
public struct ModelBaseline: Sendable {
  /// One host and what its KVM can offer, as far as that is known.
  public struct Host: Hashable, Sendable {
    public var name: String
    public var vendor: String
    public var features: FeatureSet

    public init(name: String, vendor: String, features: FeatureSet) {
      self.name = name
      self.vendor = vendor
      self.features = features
    }
  }

  /// A model and what some host lacks of it.
  public struct Candidate: Hashable, Sendable {
    public var model: CPUModel
    /// What not every host has of the model.
    public var missing: FeatureSet
    /// What every host has beyond the model, as far as `-cpu` can ask for it.
    public var extra: FeatureSet

    /// The model with what is missing taken away, as `-cpu` takes it.
    public func text(named name: String) -> String {
      ([name] + Self.names(of: missing).map { "-\($0)" }).joined(separator: ",")
    }

    /// The model with all that every host has.
    public func fullText(named name: String) -> String {
      ([text(named: name)] + Self.names(of: extra).map { "+\($0)" }).joined(separator: ",")
    }

    private static func names(of features: FeatureSet) -> [String] {
      features.features.compactMap(\.qemuName)
    }
  }

  public let hosts: [Host]
  /// What every host has.
  public let common: FeatureSet
  /// Every model, the best first.
  public let candidates: [Candidate]

  public init(_ hosts: [Host], table: CPUModelTable) {
    self.hosts = hosts
    let common = hosts.dropFirst().reduce(hosts.first?.features ?? FeatureSet()) { $0.intersection($1.features) }
    self.common = common
    let vendors = Set(hosts.map(\.vendor))
    let askable = table.knownFeatures.processorsOwn.subtracting(Self.leftAlone)
    let candidates = table.models.values.filter { $0.name != "base" }.map { model in
      // With what QEMU itself turns off in every model, and what depends on it.
      let processor = try? GuestProcessor(CPUSelection(model: model.name), accelerator: .kvm, offer: nil, table: table)
      let wanted = (processor?.features ?? model.features).processorsOwn.intersection(table.knownFeatures)
      return Candidate(
        model: model, missing: wanted.subtracting(common),
        extra: common.intersection(askable).subtracting(wanted))
    }
    self.candidates = candidates.sorted { a, b in
      let (rankA, rankB) = (Self.rank(a, common, vendors), Self.rank(b, common, vendors))
      return rankA.lexicographicallyPrecedes(rankB) || rankA == rankB && a.model.name < b.model.name
    }
  }

  /// What is not for a baseline to ask for: what follows from the number of vCPUs, what keeps a guest from migrating, and
  /// what QEMU turns off under KVM.
  private static let leftAlone: FeatureSet = [
    .cpuid(1, 0, .edx): 1 << 28 | 1 << 22, .cpuid(1, 0, .ecx): 1 << 3,
    .cpuid(0x8000_0001, 0, .ecx): 1 << 22 | 1 << 2 | 1 << 1, .cpuid(0x8000_0007, 0, .edx): 1 << 8,
  ]

  /// The lower the better: a 64-bit model where there can be one, one that lacks nothing, of the highest level, of the hosts'
  /// vendor, with the most features. Under KVM a guest sees the host's vendor whatever the model's is.
  private static func rank(_ candidate: Candidate, _ common: FeatureSet, _ vendors: Set<String>) -> [Int] {
    let lacksLongMode = common[.lm] && !candidate.model.features[.lm]
    return [
      lacksLongMode ? 1 : 0, candidate.missing.isEmpty ? 0 : 1, candidate.missing.count,
      -(MicroarchitectureLevel.highest(of: candidate.model.features)?.rawValue ?? 0),
      vendors.contains(candidate.model.vendor) ? 0 : 1, -candidate.model.features.processorsOwn.count,
    ]
  }

  /// The hosts that lack any of `features`, each with those that it lacks.
  public func hosts(lacking features: FeatureSet) -> [(host: Host, lacks: FeatureSet)] {
    hosts.map { ($0, features.subtracting($0.features)) }.filter { !$0.1.isEmpty }
  }
}

extension FeatureSet {
  /// Without MSR bits and KVM's own leaf, which no processor decides.
  public var processorsOwn: FeatureSet {
    var own = self
    for word in nonemptyWords {
      switch word {
      case .msr, .cpuid(leaf: 0x4000_0001, _, _): own[word] = 0
      default: break
      }
    }
    return own
  }

  public var count: Int { nonemptyWords.reduce(0) { $0 + self[$1].nonzeroBitCount } }
}

extension AcceleratorOffer {
  /// What KVM is to be expected to offer on a processor: what it has, and what KVM emulates on every one
  /// (`arch/x86/kvm/cpuid.c: kvm_set_cpu_caps`, 6.1; QEMU's additions). KVM may offer less.
  public static func expectedKVM(on processor: FeatureReport) -> FeatureSet {
    let emulated: FeatureSet = [
      .cpuid(1, 0, .ecx): 1 << 31 | 1 << 24 | 1 << 21, .cpuid(6, 0, .eax): 1 << 2, .cpuid(7, 0, .ebx): 1 << 1,
      .cpuid(0x8000_0001, 0, .ecx): 1 << 22,
    ]
    var features = processor.features.union(emulated)
    features[.cpuid(0x8000_0001, 0, .edx)] |= features[.cpuid(1, 0, .edx)] & FeatureWord.repeatedByAMD
    return features
  }
}
