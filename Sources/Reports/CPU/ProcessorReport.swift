public import QEMU
import X86

/// `inquest cpu MODEL`: what a guest with that `-cpu` has, and who decided it.
public struct ProcessorReport: CPUReport {
  let processor: GuestProcessor
  let table: CPUModelTable
  /// What the processor gets is known for this accelerator; nil where only what is asked for is.
  let offerSource: String?

  /// - Parameters:
  ///   - offerSource: Where it was read what the accelerator offers; nil where that is not known.
  public init(_ processor: GuestProcessor, table: CPUModelTable, offerSource: String?) {
    self.processor = processor
    self.table = table
    self.offerSource = offerSource
  }

  private var accelerator: String {
    processor.accelerator == .kvm ? "KVM" : processor.accelerator.rawValue.uppercased()
  }

  /// What was asked for, whether or not the guest gets it.
  private var requested: FeatureSet { processor.features.union(processor.filteredFeatures) }

  public func write(to page: inout CPUPage) {
    writeIdentity(to: &page)
    writeChanges(to: &page)
    for group in FeatureGroup.allCases {
      let features = requested.features.filter { FeatureGroup($0) == group && !$0.isRepeated }
      guard !features.isEmpty else { continue }
      page.section(group.title)
      for feature in features { page.feature(feature, note: note(on: feature)) }
    }
  }

  private func writeIdentity(to page: inout CPUPage) {
    let selection = processor.selection
    let isAlias = processor.model.map { $0.name != selection.model } ?? false
    let alias = isAlias ? " (\(processor.model?.name ?? ""))" : ""
    page.title("-cpu \(selection.text)\(alias) of QEMU \(table.version) under \(accelerator)")
    if let vendor = processor.vendor, let signature = processor.signature {
      page.entry(
        "vendor",
        "\(vendor.isEmpty ? "none" : vendor), family \(signature.family), model \(signature.model), stepping "
          + "\(signature.stepping)")
    }
    if let level = MicroarchitectureLevel.highest(of: processor.features) { page.entry("level", level.name) }
    if let bits = processor.physicalAddressBits {
      page.entry("address", "\(bits.value) physical bits, \(bits.origin.words)")
    }
    if processor.selection.enforces, !processor.filteredFeatures.isEmpty {
      page.entry("note", "With enforce, QEMU refuses to start this here.")
    }
    if processor.model?.isDeprecated == true { page.entry("note", "QEMU advises against this model.") }
    writeVersions(to: &page)
  }

  private func writeVersions(to page: inout CPUPage) {
    guard let model = processor.model else { return }
    let versions = table.versions(of: model.family)
    guard versions.count > 1 else { return }
    for (index, version) in versions.enumerated() {
      let plain = table.plainName(of: version)
      let name = plain == version.name || index == 0 ? version.name : "\(version.name) (\(plain))"
      page.entry(index == 0 ? "versions" : "", "\(name)\(difference(version, from: model))")
    }
  }

  private func difference(_ version: CPUModel, from model: CPUModel) -> String {
    if version.name == model.name { return ": this one" }
    let more = names(version.features.subtracting(model.features)).map { "+\($0)" }
    let less = names(model.features.subtracting(version.features)).map { "-\($0)" }
    return (more + less).isEmpty ? "" : ": " + (more + less).joined(separator: " ")
  }

  /// What differs from the model's definition.
  private func writeChanges(to page: inout CPUPage) {
    guard let offerSource else {
      page.entry("note", "What \(accelerator) offers here is not known: nothing is taken away.")
      return
    }
    let changes: [(String, FeatureSet)] = [
      ("Asked for, and not offered by \(accelerator) here", processor.filteredFeatures),
      ("Turned on by QEMU under \(accelerator)", bits { $0 == .acceleratorDefault(processor.accelerator) && $1 }),
      ("Turned off by QEMU under \(accelerator)", bits { $0 == .acceleratorDefault(processor.accelerator) && !$1 }),
    ]
    guard changes.contains(where: { !names($0.1).isEmpty }) else { return }
    page.section("What the guest gets, by \(offerSource)")
    for (title, features) in changes where !names(features).isEmpty {
      page.item("\(title): \(names(features).joined(separator: " "))")
    }
  }

  private func bits(_ condition: (FeatureOrigin, Bool) -> Bool) -> FeatureSet {
    FeatureSet(
      ProcessorFeature.table.map(\.bit).filter { bit in
        guard let decision = processor.originIfChanged(of: bit) else { return false }
        return condition(decision, processor.features[bit])
      })
  }

  private func note(on feature: ProcessorFeature) -> String {
    if case .circumstance(let reason)? = processor.seenFeatures().origins[feature.bit] { return "hidden: \(reason)" }
    if !processor.features[feature] { return "not offered by \(accelerator) here" }
    switch processor.originIfChanged(of: feature.bit) {
    case .option(let text): return text
    case .acceleratorDefault: return "added by QEMU"
    default: return feature.enables.bits.map(\.words).joined(separator: " ")
    }
  }

  public var json: String {
    jsonText(
      Document(
        qemu: table.version, cpu: processor.selection.text, accelerator: processor.accelerator.rawValue,
        model: processor.model?.name, vendor: processor.vendor, family: processor.signature?.family,
        modelNumber: processor.signature?.model, stepping: processor.signature?.stepping,
        highestLeaf: processor.level, highestExtendedLeaf: processor.extendedLevel,
        level: MicroarchitectureLevel.highest(of: processor.features)?.name,
        physicalAddressBits: processor.physicalAddressBits?.value, offer: offerSource,
        features: decisions.map { DecisionDocument($0.0, $0.1) }))
  }

  /// Every feature that is on, was asked for, or was changed by someone.
  private var decisions: [(ProcessorFeature, FeatureDecision)] {
    ProcessorFeature.table.compactMap { feature in
      guard requested[feature] || processor.originIfChanged(of: feature.bit) != nil else { return nil }
      let seen = processor.seenFeatures()
      guard let origin = seen.origins[feature.bit] else { return (feature, processor.decision(on: feature)) }
      return (feature, FeatureDecision(isOn: seen.features[feature], origin: origin))
    }
  }

  private struct Document: Encodable {
    let schema = cpuSchema
    let qemu, cpu, accelerator: String
    @Null var model: String?
    @Null var vendor: String?
    @Null var family: UInt32?
    @Null var modelNumber: UInt32?
    @Null var stepping: UInt32?
    let highestLeaf, highestExtendedLeaf: UInt32
    @Null var level: String?
    @Null var physicalAddressBits: Int?
    @Null var offer: String?
    let features: [DecisionDocument]
  }

  private struct DecisionDocument: Encodable {
    let feature: FeatureDocument
    @Null var isOn: Bool?
    @Null var decidedBy: String?

    init(_ feature: ProcessorFeature, _ decision: FeatureDecision) {
      self.feature = FeatureDocument(feature)
      isOn = decision.isOn
      decidedBy = decision.origin?.words
    }
  }
}

extension ProcessorFeature {
  /// Whether it only repeats what another feature of the same name says: `kvmclock` is two bits.
  fileprivate var isRepeated: Bool {
    guard let name = qemuName else { return false }
    return Self.named(inQEMU: name).first != self
  }
}

extension FeatureOrigin {
  /// Who decided, as the end of a sentence.
  var words: String {
    switch self {
    case .model(let model): "by the model \(model)"
    case .option(let text): "by \(text)"
    case .accelerator(let accelerator): "by what \(accelerator.rawValue) offers"
    case .acceleratorDefault(let accelerator): "by QEMU's defaults under \(accelerator.rawValue)"
    case .lackingIn(let accelerator): "by \(accelerator.rawValue), which does not offer it"
    case .dependency(let bit): "by the lack of \(ProcessorFeature.at(bit)?.name ?? bit.description)"
    case .consequence(let bit): "by \(ProcessorFeature.at(bit)?.name ?? bit.description)"
    case .circumstance(let reason): "by \(reason)"
    }
  }
}
