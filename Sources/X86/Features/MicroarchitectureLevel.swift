/// A level of features for which compilers make programs: x86-64-v1 to -v4 (System V ABI, AMD64 Architecture Processor
/// Supplement 1.0, 3.1.1).
public enum MicroarchitectureLevel: Int, CaseIterable, Hashable, Sendable {
  case v1 = 1
  case v2
  case v3
  case v4

  /// `x86-64-v3`; the first is also called `x86-64`.
  public var name: String { "x86-64-v\(rawValue)" }

  /// From `x86-64-v3`, `v3`, or `x86-64` for the first.
  public init?(name: String) {
    let name = name.lowercased()
    guard let level = Self.allCases.first(where: { name == $0.name || name == "v\($0.rawValue)" }) else {
      guard name == "x86-64" else { return nil }
      self = .v1
      return
    }
    self = level
  }

  /// What the level has beyond the one below it.
  public var ownFeatures: [ProcessorFeature] {
    let names: [String] =
      switch self {
      case .v1: ["lm", "cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2"]
      case .v2: ["cx16", "lahf-lm", "popcnt", "pni", "sse4.1", "sse4.2", "ssse3"]
      case .v3: ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"]
      case .v4: ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]
      }
    return names.flatMap { ProcessorFeature.named(inQEMU: $0) }
  }

  /// All that the level has.
  public var features: [ProcessorFeature] {
    Self.allCases.filter { $0.rawValue <= rawValue }.flatMap { $0.ownFeatures }
  }

  /// The highest level whose features are all there; nil where not even the first one's are.
  public static func highest(of features: FeatureSet) -> Self? {
    allCases.last { level in level.features.allSatisfy { features[$0] } }
  }
}
