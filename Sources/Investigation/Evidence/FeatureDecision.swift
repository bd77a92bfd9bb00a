import QEMU

/// Whether the guest's processor has a feature, and who decided it.
struct FeatureDecision: Hashable {
  /// Nil where nothing at hand tells.
  var isOn: Bool?
  /// Who decided, as the end of a sentence: `since the model Haswell of QEMU 7.2 does not have it`.
  var words: String
  var source: Source
}

extension Scene {
  /// Whether the guest's processor has `feature`: what QEMU says of the running guest comes first, then what it printed,
  /// then what the command line asks for.
  func decision(on feature: CPUFeatureName) -> FeatureDecision {
    if let refusal = refusal(of: feature) {
      return FeatureDecision(
        isOn: false, words: "which was asked for and which the \(refusal.value) does not offer", source: refusal.source)
    }
    let request = request(of: feature)
    guard let measured = guestFeatures[feature] else { return effect(of: request, on: feature) }
    if measured.value == request.isOn || request.isOn == nil {
      return FeatureDecision(
        isOn: measured.value, words: request.isOn == nil ? "as QEMU says of this guest" : request.words,
        source: measured.source)
    }
    let words =
      measured.value
      ? "as QEMU says of this guest" : "although it was asked for: the accelerator of this host does not offer it"
    return FeatureDecision(isOn: measured.value, words: words, source: measured.source)
  }

  /// QEMU's own word that the accelerator lacks a feature that was asked for.
  private func refusal(of feature: CPUFeatureName) -> Sourced<String>? {
    for entry in log {
      guard case .unsupportedFeature(let refused) = entry.value, refused.feature == feature else { continue }
      let who = refused.accelerator == "host" ? "host's KVM" : "accelerator \(refused.accelerator)"
      return Sourced(who, entry.source)
    }
    return nil
  }

  /// What the command line asks for: an option of its own, or what the model has.
  private func request(of feature: CPUFeatureName) -> FeatureDecision {
    guard let cpu = commandLine?.cpu else {
      return FeatureDecision(isOn: nil, words: "", source: .commandLine)
    }
    let request = cpu.state(of: feature, accelerator: accelerator?.value ?? .kvm)
    guard let isOn = request.value else { return FeatureDecision(isOn: nil, words: "", source: .commandLine) }
    switch request.decidedBy {
    case .option(let option):
      return FeatureDecision(isOn: isOn, words: "turned \(isOn ? "on" : "off") by \(option)", source: .commandLine)
    case .model(let model):
      let name = cpu.isModelGiven ? "the model of -cpu \(model)" : "the default model, \(model),"
      return FeatureDecision(
        isOn: isOn, words: "since \(name) \(isOn ? "has" : "lacks") it",
        source: .assumed("the \(model) of QEMU \(CPUModel.measuredVersion)"))
    case .accelerator, .unknown:
      return FeatureDecision(isOn: isOn, words: "as the command line asks", source: .commandLine)
    }
  }

  /// A request counts only as far as the accelerator can meet it.
  private func effect(of request: FeatureDecision, on feature: CPUFeatureName) -> FeatureDecision {
    guard request.isOn == true, let offer = host.offers[feature] else { return request }
    if offer.value { return request }
    return FeatureDecision(
      isOn: false, words: "although it was asked for: the accelerator of this host does not offer it",
      source: offer.source)
  }
}
