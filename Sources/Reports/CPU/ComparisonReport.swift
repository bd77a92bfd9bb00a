import QEMU
public import X86

/// `inquest cpu --compare A B`: in what two processors differ.
public struct ComparisonReport: CPUReport {
  /// One of the two.
  public struct Side: Sendable {
    public var name: String
    /// What its features are taken from, in words.
    public var source: String
    public var features: FeatureReport
    /// Facts beside the features, such as the vendor, by name.
    public var facts: [(name: String, value: String)]

    public init(name: String, source: String, features: FeatureReport, facts: [(name: String, value: String)]) {
      self.name = name
      self.source = source
      self.features = features
      self.facts = facts
    }
  }

  let a: Side
  let b: Side

  public init(_ a: Side, _ b: Side) {
    self.a = a
    self.b = b
  }

  private var differences: FeatureSet { a.features.disagreements(with: b.features) }

  private var onlyInA: [ProcessorFeature] { differences.intersection(a.features.features).features }

  private var onlyInB: [ProcessorFeature] { differences.intersection(b.features.features).features }

  /// Features of one that the other's source does not tell about.
  private var untold: [ProcessorFeature] {
    let features = a.features.features.subtracting(b.features.known)
      .union(b.features.features.subtracting(a.features.known))
    return features.processorsOwn.features
  }

  public func write(to page: inout CPUPage) {
    page.title("\(a.name) and \(b.name)")
    for side in [a, b] { page.item(side.name, side.source, width: 20) }
    for fact in a.facts {
      guard let other = b.facts.first(where: { $0.name == fact.name }), other.value != fact.value,
        !fact.value.isEmpty, !other.value.isEmpty
      else { continue }
      page.item(fact.name, "\(fact.value) and \(other.value)", width: 20)
    }
    for (name, features) in [(a.name, onlyInA), (b.name, onlyInB)] where !features.isEmpty {
      page.section("Only \(name) has")
      for feature in features { page.feature(feature) }
    }
    if !untold.isEmpty {
      page.section("In one, and the other's source does not tell")
      page.item(untold.map(\.name).joined(separator: " "))
    }
    if differences.isEmpty, untold.isEmpty {
      page.line("")
      page.line("They have the same features.")
    }
  }

  public var json: String {
    jsonText(
      Document(
        a: SideDocument(a), b: SideDocument(b), onlyInA: onlyInA.map(FeatureDocument.init),
        onlyInB: onlyInB.map(FeatureDocument.init), unknownInOne: untold.map(FeatureDocument.init)))
  }

  private struct Document: Encodable {
    let schema = cpuSchema
    let a, b: SideDocument
    let onlyInA, onlyInB, unknownInOne: [FeatureDocument]
  }

  private struct SideDocument: Encodable {
    let name, source: String
    let facts: [String: String]

    init(_ side: Side) {
      name = side.name
      source = side.source
      facts = Dictionary(side.facts.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
  }
}
