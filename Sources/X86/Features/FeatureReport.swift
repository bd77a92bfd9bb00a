/// What one source says of a processor's features; it need not know of all.
public struct FeatureReport: Hashable, Sendable {
  /// The features that the processor has.
  public var features: FeatureSet
  /// The bits of which the source tells whether they are set.
  public var known: FeatureSet

  /// Of nothing.
  public init() {
    features = FeatureSet()
    known = FeatureSet()
  }

  public init(features: FeatureSet, known: FeatureSet) {
    self.features = features
    self.known = known
  }

  /// Of the features of the table, what CPUID says.
  public init(_ cpuid: CPUID) {
    self.init()
    for word in ProcessorFeature.featureWords {
      guard let value = cpuid[word] else { continue }
      features[word] = UInt64(value)
      known[word] = 0xFFFF_FFFF
    }
  }

  /// Whether the processor has what the bit stands for; nil where the source does not tell.
  public func has(_ bit: FeatureBit) -> Bool? { known[bit] ? features[bit] : nil }

  /// Whether the processor has the feature; nil where the source does not tell.
  public func has(_ feature: ProcessorFeature) -> Bool? { has(feature.bit) }

  /// Where two sources disagree, of what both know.
  public func disagreements(with other: Self) -> FeatureSet {
    features.symmetricDifference(other.features).intersection(known).intersection(other.known)
  }
}

extension FeatureReport {
  /// What the flags of /proc/cpuinfo say.
  ///
  /// A flag that stands there is a feature that the processor has. One that does not stand there may be one that Linux does
  /// not use, and one that Linux has no flag for may be there; both are not known.
  public init(linuxFlags flags: some Sequence<String>, isAMD: Bool) {
    self.init()
    for flag in flags {
      let meanings = ProcessorFeature.named(inLinux: flag)
      // A flag of several bits is announced by the vendor's own leaf: `ibpb` by 80000008H or by 7.
      for feature in meanings where meanings.count == 1 || feature.isInExtendedLeaf == isAMD {
        features[feature] = true
        known[feature] = true
      }
    }
  }
}

extension FeatureReport: ExpressibleByDictionaryLiteral {
  /// Of each feature, whether the processor has it.
  public init(dictionaryLiteral elements: (ProcessorFeature, Bool)...) {
    self.init()
    for (feature, isOn) in elements {
      features[feature] = isOn
      known[feature] = true
    }
  }
}

extension ProcessorFeature {
  fileprivate var isInExtendedLeaf: Bool {
    if case .cpuid(let leaf, _, _) = word { leaf >= 0x8000_0000 } else { false }
  }
}
