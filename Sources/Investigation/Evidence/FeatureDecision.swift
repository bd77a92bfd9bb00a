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
      let who = refusal.value.isByKVM ? "host's KVM" : "accelerator \(refusal.value.accelerator)"
      return FeatureDecision(
        isOn: false, words: "although it was asked for: the \(who) does not offer it", source: refusal.source)
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

  /// Whether KVM can give a guest `feature`: what the host answers, else what QEMU printed; nil where neither tells.
  func offer(of feature: CPUFeatureName) -> Sourced<Bool>? {
    if let offer = host.offers[feature] { return offer }
    guard let refusal = refusal(of: feature), refusal.value.isByKVM else { return nil }
    return Sourced(false, refusal.source)
  }

  /// Whether the command line gives the guest `feature` already, as far as the host can.
  func asks(for feature: CPUFeatureName) -> Bool { request(of: feature).isOn == true }

  /// QEMU's own word that the accelerator lacks a feature that was asked for.
  private func refusal(of feature: CPUFeatureName) -> Sourced<UnsupportedFeature>? {
    for entry in log {
      guard case .unsupportedFeature(let refused) = entry.value, refused.feature == feature else { continue }
      return Sourced(refused, entry.source)
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

extension UnsupportedFeature {
  /// QEMU calls KVM "host" (target/i386/cpu.c: x86_cpu_filter_features, 7.2).
  fileprivate var isByKVM: Bool { accelerator == "host" }
}
