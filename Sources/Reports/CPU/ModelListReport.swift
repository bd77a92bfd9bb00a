public import QEMU
public import X86

/// `inquest cpu`: the models, and what this host can offer.
public struct ModelListReport: CPUReport {
  let table: CPUModelTable
  let host: HostOffer

  public init(table: CPUModelTable, host: HostOffer) {
    self.table = table
    self.host = host
  }

  private struct Row {
    var name: String
    var vendor: String
    var level: String
    var missing: FeatureSet?
    var versions: [CPUModel]
  }

  /// One row for each family, with what its first version is.
  private var rows: [Row] {
    Set(table.models.values.filter { $0.name != "base" }.map(\.family)).sorted { $0.lowercased() < $1.lowercased() }
      .compactMap { family in
        let versions = table.versions(of: family)
        guard let first = versions.first ?? table.models[family] else { return nil }
        return Row(
          name: family, vendor: first.vendor,
          level: MicroarchitectureLevel.highest(of: first.features)?.name ?? "", missing: missing(first),
          versions: versions)
      }
  }

  private func missing(_ model: CPUModel) -> FeatureSet? {
    guard let offer = host.kvm else { return nil }
    return try? GuestProcessor(CPUSelection(model: model.name), accelerator: .kvm, offer: offer, table: table)
      .filteredFeatures.processorsOwn
  }

  public func write(to page: inout CPUPage) {
    page.title("CPU models of QEMU \(table.version)")
    page.line("")
    page.line("  model                vendor        level      under KVM on this host")
    for row in rows {
      let cells = [(row.name, 20), (row.vendor, 13), (row.level, 10), (verdict(row), 0)]
      page.line("  " + cells.map { padded($0.0, to: $0.1) }.joined(separator: " "))
    }
    page.line("  max, host            what the accelerator offers; host needs KVM")
    page.section("This host")
    host.write(to: &page)
    page.line("")
    page.line("inquest cpu MODEL shows one. A model's versions differ: MODEL-v2 …")
  }

  private func verdict(_ row: Row) -> String {
    guard let missing = row.missing else { return "not known" }
    let lacking = names(missing)
    if lacking.isEmpty { return "all of it" }
    let shown = lacking.count <= 3 ? lacking.joined(separator: " ") : "\(lacking.count) features"
    return "without \(shown)"
  }

  public var json: String {
    jsonText(
      Document(
        qemu: table.version, kvm: host.kvm != nil,
        models: table.models.values.sorted { $0.name < $1.name }.map { model in
          ModelDocument(
            name: model.name, aliases: table.aliases.filter { $0.value == model.name }.keys.sorted(),
            vendor: model.vendor, level: MicroarchitectureLevel.highest(of: model.features)?.name,
            deprecated: model.isDeprecated, missingUnderKVM: missing(model).map(names))
        }))
  }

  private struct Document: Encodable {
    let schema = cpuSchema
    let qemu: String
    let kvm: Bool
    let models: [ModelDocument]
  }

  private struct ModelDocument: Encodable {
    let name: String
    let aliases: [String]
    let vendor: String
    @Null var level: String?
    let deprecated: Bool
    @Null var missingUnderKVM: [String]?
  }
}

/// What this machine can give a guest.
public struct HostOffer: Sendable {
  /// What its KVM offers; nil where there is none to be used.
  public var kvm: AcceleratorOffer?
  /// Where that was read, or why it was not.
  public var source: String
  /// What its processor has; nil where that is not known.
  public var processor: FeatureReport?

  public init(kvm: AcceleratorOffer?, source: String, processor: FeatureReport?) {
    self.kvm = kvm
    self.source = source
    self.processor = processor
  }

  func write(to page: inout CPUPage) {
    guard let kvm else {
      page.item("KVM cannot be used: \(source). Guests run under TCG, which offers what QEMU implements.")
      return
    }
    let level = MicroarchitectureLevel.highest(of: kvm.features)?.name ?? "less than x86-64-v1"
    page.item("KVM offers \(level) (\(source)).")
    guard let processor else { return }
    let withheld = names(
      FeatureSet(processor.features.features.filter { $0.qemuName != nil && !kvm.features[$0] }.map(\.bit)))
    if !withheld.isEmpty {
      page.item("The processor has, and KVM does not offer: \(withheld.joined(separator: " "))")
    }
  }
}
