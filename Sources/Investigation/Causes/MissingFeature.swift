import QEMU
import X86

/// `cpu.missing-feature`: an instruction that came with a feature which the guest's processor does not have.
struct MissingFeature: CauseOfDeath, SingleCause {
  static let id = "cpu.missing-feature"
  static let title = "The guest's processor does not have the instruction"
  static let refines = [UndefinedInstruction.id]

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
    if fault.isHypercall { return fault.hypercallRemedies }
    return scene.remedies(
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

extension MissingFeature {
  static let manual = """
    The next instruction came with a feature that the guest's processor does not have, as CPUID tells it. There is no such
    instruction then: the processor raises #UD. Early in a kernel's life there is no handler for it, so it shows as a triple
    fault.

    ## How to recognise it

    RIP stands at the instruction; nothing was written, and CR2 is of no meaning. `inquest cpu --instruction 'BYTES'` tells what
    an instruction needs. SDM vol. 2 gives the CPUID bit of each; APM vol. 3, appendix D.

    Typical: code built with `-march=native`, `target-cpu=native`, or for x86-64-v2 or -v3, on `-cpu qemu64` or `kvm64`;
    RDRAND, RDTSCP, POPCNT and INVPCID used without asking.

    ## Why it dies here and lives there

    - **QEMU's TCG** goes by the guest's CPUID for most instructions.
    - **A processor under KVM** executes what it has, whatever the guest's CPUID says: most instructions have no bit with which a
      hypervisor could forbid them. So the same guest may live on one host and die on another.
    - **KVM's emulator** asks the guest's CPUID for a few (MOVBE, RDPID), where it emulates an instruction at all: for devices, and
      for everything where KVM cannot let the guest run by itself (kvm_pvm).

    ## The cure

    `-cpu MODEL,+FEATURE`, or a model that has it, if the accelerator can offer it: `inquest cpu --needs FEATURE`. Or build the
    guest for the processor it gets, or let it ask CPUID.

    ## Try it

    The guest `movbe-not-offered` in `Guests/`, with `-cpu qemu64`.
    """
}
