/// One of QEMU's x86 CPU models, as far as it matters for paging.
///
/// What is here is the model's definition, measured with the QEMU named by `measuredVersion`. An accelerator that lacks
/// one of its features leaves it out, with a warning; under KVM the guest sees the host's vendor
/// (`target/i386/cpu.c: x86_cpu_load_model`, 7.2).
public struct CPUModel: Hashable, Sendable {
  /// The name with its version, such as `Haswell-v1`.
  public var name: String
  /// CPUID's vendor, such as `GenuineIntel`; empty for the model `base`.
  public var vendor: String
  /// Which of `knownFeatures` it has.
  public var features: Set<CPUFeatureName>

  /// The version of QEMU that was asked.
  public static let measuredVersion = CPUModelTable.version

  /// The features that `features` tells about; nothing is known of any other.
  public static let knownFeatures = Set(CPUModelTable.features.split(separator: " ").map { CPUFeatureName(String($0)) })

  /// The model of that name, spelled as QEMU wants it, or of what the name stands for: `Haswell` is `Haswell-v1`.
  ///
  /// Nil for a name QEMU does not have, and for `host` and `max`, which are what the accelerator offers.
  public static func named(_ name: String) -> Self? {
    guard let model = models[name] else { return aliases[name].flatMap { models[$0] } }
    return model
  }

  /// Whether it has `feature`; nil where the feature is none of `knownFeatures`.
  public func has(_ feature: CPUFeatureName) -> Bool? {
    Self.knownFeatures.contains(feature) ? features.contains(feature) : nil
  }

  private static let rows = CPUModelTable.rows.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }

  private static let aliases = Dictionary(
    rows.filter { $0.count == 3 && $0[1] == "=" }.map { ($0[0], $0[2]) }, uniquingKeysWith: { first, _ in first })

  private static let models = Dictionary(
    rows.filter { $0.count >= 2 && $0[1] != "=" }.map { row in
      let features = Set(row.dropFirst(2).map { CPUFeatureName($0) })
      return (row[0], Self(name: row[0], vendor: row[1] == "-" ? "" : row[1], features: features))
    }, uniquingKeysWith: { first, _ in first })

  private init(name: String, vendor: String, features: Set<CPUFeatureName>) {
    self.name = name
    self.vendor = vendor
    self.features = features
  }
}
