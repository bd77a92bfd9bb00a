import QEMU
import X86

/// `cpu.missing-feature`: an instruction that came with a feature which the guest's processor does not have.
struct MissingFeature: CauseOfDeath {
  static let id = "cpu.missing-feature"
  static let title = "The guest's processor does not have the instruction"

  private let fault: FirstFault
  private let scene: Scene
  /// The feature; the first of several of which any would do.
  private let feature: ProcessorFeature

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .missingFeature(let features) = fault.exception.reason, let feature = features.first else { return nil }
    self.fault = fault
    self.scene = scene
    self.feature = feature
  }

  private var decision: FeatureAccount { scene.decision(on: feature) }

  var summary: String {
    "\(fault.instructionName) needs \(feature.manualName), \(feature.bit) (\(feature.name)), which this guest's processor does not "
      + "have, \(decision.words). Without it the instruction does not exist: #UD."
  }

  var remedies: [Remedy] {
    scene.remedies(
      offering: feature, purpose: feature.manualName,
      fallback: .guest(
        "ask CPUID for \(feature.manualName), \(feature.bit), before using the instruction, or build the guest for a processor "
          + "without it (not -march=native or x86-64-v2 and up)", "The guest then runs on every processor."))
  }

  var evidence: [Evidence] { [scene.evidence(of: feature)] }

  var circumstances: [Evidence] {
    guard scene.accelerator?.value != .tcg else { return [] }
    return [
      Evidence(
        "A processor that has \(feature.manualName) executes the instruction whatever the guest's CPUID says; KVM goes by the "
          + "guest's CPUID where it emulates it, as kvm_pvm does", .assumed("Linux arch/x86/kvm/emulate.c"))
    ]
  }
}

extension Scene {
  /// Whether the guest has a feature, as a fact to cite.
  func evidence(of feature: ProcessorFeature) -> Evidence {
    let decision = decision(on: feature)
    let value = decision.isOn.map { $0 ? "1" : "0" } ?? "unknown"
    return Evidence("\(feature.name), \(feature.bit), is \(value) for this guest: \(decision.words)", decision.source)
  }
}
