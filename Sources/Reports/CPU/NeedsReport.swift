public import QEMU
public import X86

/// `inquest cpu --needs`: who has these features, and the smallest change that gives them to a guest.
public struct NeedsReport: CPUReport {
  let wanted: [ProcessorFeature]
  let table: CPUModelTable
  let host: HostOffer
  let selection: CPUSelection?
  /// What asks for the features, such as an instruction; nil for the user.
  let heading: String?

  /// - Parameter selection: The `-cpu` to start from; nil where none was given.
  public init(
    _ wanted: [ProcessorFeature], table: CPUModelTable, host: HostOffer, selection: CPUSelection? = nil,
    heading: String? = nil
  ) {
    self.wanted = wanted
    self.table = table
    self.host = host
    self.selection = selection
    self.heading = heading
  }

  private var wantedSet: FeatureSet { FeatureSet(wanted.map(\.bit)) }

  private var models: [CPUModel] { table.models(having: wantedSet) }

  /// Which of the features this host's KVM cannot give; nil where there is no KVM.
  private var withheld: [ProcessorFeature]? { host.kvm.map { kvm in wanted.filter { !kvm.features[$0] } } }

  private var withheldByTCG: [ProcessorFeature] { wanted.filter { !table.tcgFeatures[$0] } }

  public func write(to page: inout CPUPage) {
    if let withheld, !withheld.isEmpty {
      page.warning(
        "This host's KVM cannot offer \(listed(withheld.map(\.name))): no -cpu option gives "
          + "\(withheld.count == 1 ? "it" : "them") to a guest here "
          + "(\(host.source)).")
      page.line("")
    }
    if let heading { page.title(heading) }
    for feature in wanted {
      let enables = feature.enables.bits.map(\.words).joined(separator: " ")
      let tables = feature.pageTables.isEmpty ? "" : "in page tables: \(feature.pageTables)"
      page.feature(
        feature, note: [feature.bit.description, enables, tables].filter { !$0.isEmpty }.joined(separator: ", "))
    }
    writeAddition(to: &page)
    writeHost(to: &page)
    page.section("Models of QEMU \(table.version) that have \(wanted.count == 1 ? "it" : "all of them")")
    if families.isEmpty { page.item("none") }
    for (family, versions) in families { page.item(family, versions, width: 20) }
  }

  private func writeAddition(to page: inout CPUPage) {
    guard let change else { return }
    page.section("With -cpu \(change.from)")
    page.item(
      change.to.map { "use -cpu \($0)" } ?? "nothing is to be added: the model has \(wanted.count == 1 ? "it" : "them")"
    )
  }

  /// The smallest addition to the given `-cpu`; `to` is nil where nothing is to be added.
  private var change: (from: String, to: String?)? {
    guard let selection else { return nil }
    let processor = try? GuestProcessor(selection, accelerator: .kvm, offer: nil, table: table)
    let missing = wanted.filter { processor?.decision(on: $0).isOn != true }
    if missing.isEmpty { return (selection.text, nil) }
    let changed = missing.compactMap { CPUFeatureName($0) }.reduce(selection) { $0.turningOn($1) }
    return (selection.text, changed.text)
  }

  private func writeHost(to page: inout CPUPage) {
    page.section("Who can offer \(wanted.count == 1 ? "it" : "them")")
    if let withheld {
      page.item(
        "KVM", withheld.isEmpty ? "yes, on this host" : "not \(listed(withheld.map(\.name)))", width: 20)
    } else {
      page.item("KVM", "not known: \(host.source)", width: 20)
    }
    page.item("TCG", withheldByTCG.isEmpty ? "yes" : "not \(listed(withheldByTCG.map(\.name)))", width: 20)
    if let processor = host.processor {
      let lacking = wanted.filter { processor.has($0) == false }
      page.item(
        "this processor",
        lacking.isEmpty ? "has \(wanted.count == 1 ? "it" : "them")" : "lacks \(listed(lacking.map(\.name)))", width: 20
      )
    }
  }

  /// Each family with those of its versions that have the features.
  private var families: [(String, String)] {
    let found = models
    return Set(found.map(\.family)).sorted { $0.lowercased() < $1.lowercased() }.map { family in
      let having = found.filter { $0.family == family }.compactMap(\.version).sorted()
      let all = table.versions(of: family).compactMap(\.version)
      if all.count <= 1 { return (family, "") }
      return (
        family, having == all ? "all versions, v1 to v\(all.last ?? 1)" : "only \(listed(having.map { "v\($0)" }))"
      )
    }
  }

  public var json: String {
    jsonText(
      Document(
        qemu: table.version, needs: wanted.map(FeatureDocument.init), models: models.map(\.name),
        from: change?.from, use: change.map { $0.to ?? $0.from }, kvmOffers: withheld?.isEmpty,
        notOfferedByKVM: withheld?.map(\.name), notOfferedByTCG: withheldByTCG.map(\.name), host: host.source))
  }

  private struct Document: Encodable {
    let schema = cpuSchema
    let qemu: String
    let needs: [FeatureDocument]
    let models: [String]
    @Null var from: String?
    @Null var use: String?
    @Null var kvmOffers: Bool?
    @Null var notOfferedByKVM: [String]?
    let notOfferedByTCG: [String]
    let host: String
  }
}
