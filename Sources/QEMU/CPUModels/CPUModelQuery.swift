public import X86

/// Asks a QEMU for its CPU models.
///
/// A model's definition is what `query-cpu-model-expansion` gives for it, once the changes that the accelerator makes to
/// every model are taken out: those are seen where TCG and KVM differ (7.2: `vme` is off under TCG, `svm` under KVM). What
/// depends on a feature that the model lacks is defined too, and is asked for with that feature on.
public struct CPUModelQuery {
  /// One of QEMU's answers to commands.
  public typealias Ask<Failure: Error> = (QMPCommand) throws(Failure) -> JSONValue

  /// What QEMU says with one accelerator.
  public struct Answers: Sendable {
    fileprivate var version = ""
    fileprivate var aliases: [String: String] = [:]
    fileprivate var deprecated: Set<String> = []
    fileprivate var expansions: [String: Expansion] = [:]
  }

  fileprivate struct Expansion: Hashable, Sendable {
    var features: FeatureSet
    var known: FeatureSet
    var settings: [String: JSONValue]
  }

  /// Asks a QEMU that runs the `pc` machine with this accelerator.
  public static func answers<Failure: Error>(asking ask: Ask<Failure>) throws(Failure) -> Answers {
    var answers = Answers()
    answers.version = QEMUVersion(try ask(QMPCommand("query-version")))?.number ?? "?"
    let definitions = try ask(QMPCommand("query-cpu-definitions"))
    for definition in definitions.array ?? [] {
      guard let name = definition["name"]?.string, name != "host" else { continue }
      if definition["deprecated"]?.bool == true { answers.deprecated.insert(name) }
      if let alias = definition["alias-of"]?.string {
        answers.aliases[name] = alias
      } else if name == "max" {
        answers.expansions[name] = try expand(name, ["migratable": .bool(false)], ask)
      } else {
        answers.expansions[name] = try Self.definition(of: name, ask)
      }
    }
    return answers
  }

  /// Each bit is asked for with the features on that it depends on.
  private static func definition<Failure: Error>(of name: String, _ ask: Ask<Failure>) throws(Failure) -> Expansion {
    var expansion = try expand(name, [:], ask)
    var forced = FeatureSet()
    for layer in dependencyLayers {
      forced = forced.union(layer)
      let switches = forced.intersection(expansion.known).features.compactMap(\.qemuName).map {
        ($0, JSONValue.bool(true))
      }
      var next = try expand(name, Dictionary(switches, uniquingKeysWith: { first, _ in first }), ask)
      next.features = next.features.subtracting(forced).union(expansion.features.intersection(forced))
      next.settings = expansion.settings
      expansion = next
    }
    return expansion
  }

  /// The features that others depend on: first those that depend on none, then those that depend on these, and so on.
  private static let dependencyLayers: [FeatureSet] = {
    var rest = FeatureDependency.all
    var layers: [FeatureSet] = []
    while !rest.isEmpty {
      let free = rest.filter { dependency in
        !rest.contains { $0.takes(dependency.needed) && $0.needed != dependency.needed }
      }
      if free.isEmpty { break }
      layers.append(FeatureSet(free.map(\.needed)))
      rest.removeAll { dependency in free.contains { $0.needed == dependency.needed } }
    }
    return layers
  }()

  private static func expand<Failure: Error>(
    _ name: String, _ switches: [String: JSONValue], _ ask: Ask<Failure>
  ) throws(Failure) -> Expansion {
    var properties = switches
    // Levels as the model defines them, not as its features raise them.
    properties["full-cpuid-auto-level"] = .bool(false)
    let model: JSONValue = .object(["name": .string(name), "props": .object(properties)])
    let answer = try ask(QMPCommand("query-cpu-model-expansion", ["type": .string("full"), "model": model]))
    guard case .object(let settings)? = answer["model"]?["props"] else {
      return Expansion(features: FeatureSet(), known: FeatureSet(), settings: [:])
    }
    var expansion = Expansion(features: FeatureSet(), known: FeatureSet(), settings: settings)
    for feature in ProcessorFeature.table {
      guard let isOn = feature.qemuName.flatMap({ settings[$0]?.bool }) else { continue }
      expansion.known[feature] = true
      expansion.features[feature] = isOn
    }
    return expansion
  }

  /// What TCG's `max` is to be started with, so that its feature words tell all that TCG offers: those features that bring
  /// state components with them.
  public static func tcgProbe(of tcg: Answers) -> String {
    let known = tcg.expansions["max"]?.known ?? FeatureSet()
    let names = ProcessorFeature.table.filter { feature in
      known[feature] && StateComponent.all.contains { $0.feature == feature.bit }
    }.compactMap(\.qemuName)
    return (["max", "migratable=off", "check=off"] + names.map { "+\($0)" }).joined(separator: ",")
  }

  /// The table that the answers make.
  ///
  /// - Parameters:
  ///   - tcgFeatures: The feature words of a processor started with ``tcgProbe(of:)``.
  ///   - kvm: The same QEMU's answers with KVM; nil where there is none.
  public static func table(tcg: Answers, tcgFeatures: FeatureSet, kvm: Answers?) -> CPUModelTable {
    let named = tcg.expansions.filter { $0.key != "max" && $0.key != "base" }
    let pairs = named.compactMap { name, expansion in
      kvm?.expansions[name].map { (tcg: expansion.features, kvm: $0.features) }
    }
    let changes = pairs.isEmpty ? nil : AcceleratorChanges(pairs)
    let hidden = (changes?.tcg ?? CPUModelTable.shipped.tcgDefaults).off
    let models = tcg.expansions.filter { $0.key != "max" }.map { name, expansion in
      // Without KVM, what TCG hides is taken from the table shipped: a version of a model never changes.
      let other = kvm?.expansions[name]?.features ?? CPUModelTable.shipped.models[name]?.features ?? FeatureSet()
      return CPUModel(
        name: name, expansion, features: expansion.features.union(other.intersection(hidden)),
        isDeprecated: tcg.deprecated.contains(name))
    }
    return CPUModelTable(
      version: tcg.version, models: models, aliases: tcg.aliases,
      knownFeatures: tcg.expansions["max"]?.known ?? FeatureSet(), tcgFeatures: tcgFeatures,
      kvmDefaults: changes?.kvm, tcgDefaults: CPUModelTable.Defaults(off: hidden))
  }
}

extension FeatureDependency {
  fileprivate func takes(_ bit: FeatureBit) -> Bool { bit.word == word && bit.mask & mask != 0 }
}

/// What the accelerators make of every model, from the features that each model has under either.
private struct AcceleratorChanges {
  var kvm: CPUModelTable.Defaults
  var tcg: CPUModelTable.Defaults

  init(_ models: [(tcg: FeatureSet, kvm: FeatureSet)]) {
    let differing = models.reduce(FeatureSet()) { $0.union($1.tcg.symmetricDifference($1.kvm)) }
    var inAllUnderKVM = differing
    var inSomeUnderKVM = FeatureSet()
    var inSomeUnderTCG = FeatureSet()
    for model in models {
      inAllUnderKVM = inAllUnderKVM.intersection(model.kvm)
      inSomeUnderKVM = inSomeUnderKVM.union(model.kvm.intersection(differing))
      inSomeUnderTCG = inSomeUnderTCG.union(model.tcg.intersection(differing))
    }
    kvm = CPUModelTable.Defaults(on: inAllUnderKVM, off: differing.subtracting(inSomeUnderKVM))
    tcg = CPUModelTable.Defaults(off: inSomeUnderKVM.subtracting(inSomeUnderTCG).subtracting(inAllUnderKVM))
  }
}

extension CPUModel {
  fileprivate init(name: String, _ expansion: CPUModelQuery.Expansion, features: FeatureSet, isDeprecated: Bool) {
    func number(_ name: String) -> UInt32 { expansion.settings[name]?.uint64.flatMap { UInt32(exactly: $0) } ?? 0 }
    self.init(
      name: name, vendor: expansion.settings["vendor"]?.string ?? "",
      signature: ProcessorSignature(family: number("family"), model: number("model"), stepping: number("stepping")),
      level: number("min-level"), extendedLevel: number("min-xlevel"), physicalAddressBits: Int(number("phys-bits")),
      features: features, isDeprecated: isDeprecated)
  }
}
