import QEMU
import X86

/// `cpu.host-cannot-offer`: the guest was promised a feature that the accelerator of this host does not have.
struct HostCannotOffer: CauseOfDeath, SingleCause {
  static let id = "cpu.host-cannot-offer"
  static let title = "The host cannot offer a feature that was asked for"
  static let refines = [MissingFeature.id]

  private let fault: FirstFault
  private let scene: Scene
  private let feature: ProcessorFeature

  init?(_ fault: FirstFault, in scene: Scene) {
    let features: [ProcessorFeature] =
      switch fault.exception.reason {
      case .missingFeature(let features): features
      case .registerWrite(let write):
        if case .missingFeature(let features) = write.rule { features } else { [] }
      default: []
      }
    guard let feature = features.first(where: scene.asks), scene.decision(on: feature).isOn == false else { return nil }
    self.fault = fault
    self.scene = scene
    self.feature = feature
  }

  private var accelerator: String { scene.accelerator?.value == .tcg ? "QEMU's TCG" : "this host's KVM" }

  private var request: String {
    scene.commandLine.map { "-cpu \($0.cpu.text)" } ?? "the command line"
  }

  var summary: String {
    let need: String
    if case .registerWrite(let write) = fault.exception.reason {
      need = "\(fault.instructionName) sets \(bitNames(write.bits)) of \(write.register), which needs"
    } else {
      need = "\(fault.instructionName) needs"
    }
    return
      "\(need) \(feature.manualName), \(feature.bit) (\(feature.name)). \(request) asks for it, but \(accelerator) cannot offer "
      + "it, and QEMU started the guest without: \(fault.exception.vector.name)."
  }

  var remedies: [Remedy] {
    let fallback = Remedy.guest(
      "ask CPUID for \(feature.manualName), \(feature.bit), before using it",
      "The model's name promises it, CPUID tells the truth.")
    let elsewhere = Remedy.host(
      "run the guest on a host that offers \(feature.name)",
      "No -cpu option helps here. With ,enforce added, QEMU refuses to start where it cannot keep its promise.")
    return [fallback, elsewhere]
  }

  var evidence: [Evidence] { [scene.evidence(of: feature)] }
}

extension HostCannotOffer {
  static let manual = """
    The guest was promised a feature, by the CPU model or by `+feature`, that the accelerator of this host does not have. QEMU
    starts it all the same and says so on standard error:

        warning: host doesn't support requested feature: CPUID.01H:ECX.movbe [bit 22]
        warning: TCG doesn't support requested feature: CPUID.07H:EBX.avx512f [bit 16]

    A guest that asks CPUID finds the truth; one that believes the model's name dies at the first use: #UD at an instruction, #GP at
    a control register.

    ## How to recognise it

    `inquest cpu --needs FEATURE` tells what this host can offer. QEMU's own word is in `feature-words` and `filtered-features` of
    the running guest. `check=off` silences the warnings; `enforce` turns them into a refusal to start.

    ## The cure

    No option on this host can give what the host lacks. A host that has it (a baseline over several hosts: `inquest cpu
    --baseline`), or a guest that asks CPUID. With `,enforce` the mistake shows at the start.

    ## Try it

    The guests `avx512-not-offered` (`-accel tcg -cpu Skylake-Server`) and `movbe-not-offered` (`-cpu Haswell` on a KVM that
    cannot offer MOVBE) in `Guests/`.
    """
}
