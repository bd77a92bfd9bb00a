import QEMU
import X86

/// Whether the guest's processor has a feature, and who decided it, in words.
struct FeatureAccount: Hashable {
  /// Nil where nothing at hand tells.
  var isOn: Bool?
  /// Who decided, as the end of a sentence: `since the model Haswell of QEMU 7.2 does not have it`.
  var words: String
  var source: Source
}

extension Scene {
  /// Whether the guest's processor has `feature`: what QEMU says of the running guest comes first, then what it printed,
  /// then what the command line asks for.
  func decision(on feature: ProcessorFeature) -> FeatureAccount {
    if let refusal = refusal(of: feature) {
      let who = refusal.value.isByKVM ? "host's KVM" : "accelerator \(refusal.value.accelerator)"
      return FeatureAccount(
        isOn: false, words: "although it was asked for: the \(who) does not offer it", source: refusal.source)
    }
    let request = request(of: feature)
    guard let (report, words) = measurement(of: feature), let measured = report.value.has(feature) else {
      return effect(of: request, on: feature)
    }
    if measured == request.isOn || request.isOn == nil {
      return FeatureAccount(
        isOn: measured, words: request.isOn == nil ? words : request.words, source: report.source)
    }
    let reason = measured ? words : "although it was asked for: the accelerator of this host does not offer it"
    return FeatureAccount(isOn: measured, words: reason, source: report.source)
  }

  /// Who says what this guest's processor has: QEMU, else the trace of what CPUID told the guest.
  private func measurement(of feature: ProcessorFeature) -> (Sourced<FeatureReport>, String)? {
    if let guestFeatures, guestFeatures.value.has(feature) != nil {
      return (guestFeatures, "as QEMU says of this guest")
    }
    return tracedFeatures.map { ($0, "as CPUID told the guest") }
  }

  /// Whether KVM can give a guest `feature`: what the host answers, else what QEMU printed; nil where neither tells.
  func offer(of feature: ProcessorFeature) -> Sourced<Bool>? {
    if let offers = host.offers, let offer = offers.value.has(feature) { return Sourced(offer, offers.source) }
    guard let refusal = refusal(of: feature), refusal.value.isByKVM else { return nil }
    return Sourced(false, refusal.source)
  }

  /// Whether the command line gives the guest `feature` already, as far as the host can.
  func asks(for feature: ProcessorFeature) -> Bool { request(of: feature).isOn == true }

  /// QEMU's own word that the accelerator lacks a feature that was asked for.
  private func refusal(of feature: ProcessorFeature) -> Sourced<UnsupportedFeature>? {
    for entry in log {
      guard case .unsupportedFeature(let refused) = entry.value, refused.feature == CPUFeatureName(feature) else {
        continue
      }
      return Sourced(refused, entry.source)
    }
    return nil
  }

  /// What the command line asks for: an option of its own, or what the model has.
  private func request(of feature: ProcessorFeature) -> FeatureAccount {
    let unknown = FeatureAccount(isOn: nil, words: "", source: .commandLine)
    guard let request = requestedProcessor?.decision(on: feature), let isOn = request.isOn, let cpu = commandLine?.cpu
    else { return unknown }
    let state = isOn ? "on" : "off"
    switch request.origin {
    case .option(let option):
      return FeatureAccount(isOn: isOn, words: "turned \(state) by \(option)", source: .commandLine)
    case .model(let model):
      let name = cpu.isModelGiven ? "the model of -cpu \(model)" : "the default model, \(model),"
      return FeatureAccount(
        isOn: isOn, words: "since \(name) \(isOn ? "has" : "lacks") it", source: assumedModel(model))
    case .acceleratorDefault(let accelerator):
      return FeatureAccount(
        isOn: isOn, words: "as QEMU turns it \(state) in every model under \(accelerator.rawValue)",
        source: assumedModel(cpu.model))
    case .dependency(let needed):
      let name = ProcessorFeature.at(needed)?.name ?? "another feature"
      return FeatureAccount(isOn: isOn, words: "since it depends on \(name), which is off", source: .commandLine)
    default: return FeatureAccount(isOn: isOn, words: "as the command line asks", source: .commandLine)
    }
  }

  private func assumedModel(_ model: String) -> Source {
    .assumed("the \(model) of QEMU \(CPUModelTable.shipped.version)")
  }

  /// The processor that the command line asks for, before the accelerator takes anything away.
  var requestedProcessor: GuestProcessor? {
    guard let commandLine else { return nil }
    return try? GuestProcessor(
      commandLine.cpu, accelerator: accelerator?.value ?? .kvm, offer: nil, machine: commandLine.machineType)
  }

  /// A request counts only as far as the accelerator can meet it.
  private func effect(of request: FeatureAccount, on feature: ProcessorFeature) -> FeatureAccount {
    let table = CPUModelTable.shipped
    if request.isOn == true, accelerator?.value == .tcg, host.offers == nil, table.knownFeatures[feature],
      !table.tcgFeatures[feature]
    {
      return FeatureAccount(
        isOn: false, words: "although it was asked for: TCG of QEMU \(table.version) does not offer it",
        source: .assumed("TCG of QEMU \(table.version)"))
    }
    guard request.isOn == true, let offers = host.offers, offers.value.has(feature) == false else { return request }
    return FeatureAccount(
      isOn: false, words: "although it was asked for: the accelerator of this host does not offer it",
      source: offers.source)
  }
}

extension UnsupportedFeature {
  /// QEMU calls KVM "host" (target/i386/cpu.c: x86_cpu_filter_features, 7.2).
  fileprivate var isByKVM: Bool { accelerator == "host" }
}
