public import X86

extension CPUSelection {
  /// Models that have all of `features`, to be chosen instead of this one, the most alike first.
  ///
  /// First newer models of the same vendor from old to new, then older ones from new to old, then the others.
  public func alternatives(having features: [ProcessorFeature], in table: CPUModelTable = .shipped) -> [String] {
    let vendor = table.model(named: model)?.vendor
    let lines = [CPUGenerations.intel, CPUGenerations.amd]
    let own =
      lines.first { $0.contains(where: isOfFamily) } ?? lines.first { table.model(named: $0[0])?.vendor == vendor }
      ?? []
    let newest = own.lastIndex(where: isOfFamily)
    let newer = newest.map { own[($0 + 1)...] } ?? own[...]
    let older = newest.map { own[..<$0].reversed() } ?? []
    let others = lines.filter { $0 != own }.flatMap { $0 }
    let wanted = FeatureSet(features.map(\.bit))
    return (newer + older + others).filter { name in
      table.model(named: name).map { wanted.subtracting($0.features).isEmpty } ?? false
    }
  }

  /// Whether this model is `family` or one of its versions (`Haswell-v4`, `Haswell-noTSX`).
  private func isOfFamily(_ family: String) -> Bool { model == family || model.hasPrefix(family + "-") }
}

/// QEMU's server and desktop models by vendor, from old to new.
private enum CPUGenerations {
  static let intel = [
    "Conroe", "Penryn", "Nehalem", "Westmere", "SandyBridge", "IvyBridge", "Haswell", "Broadwell", "Skylake-Client",
    "Skylake-Server", "Cascadelake-Server", "Cooperlake", "Icelake-Server", "SapphireRapids", "GraniteRapids",
  ]
  static let amd = [
    "Opteron_G1", "Opteron_G2", "phenom", "Opteron_G3", "Opteron_G4", "Opteron_G5", "EPYC", "EPYC-Rome", "EPYC-Milan",
    "EPYC-Genoa", "EPYC-Turin",
  ]
}
