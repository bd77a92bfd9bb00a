import GuestImage
import QEMU
import X86

/// `hang.tcg-control-register`: a write of a control register that TCG makes again and again.
struct RepeatedControlRegisterWrite: CauseOfHang, SingleCause {
  static let id = "hang.tcg-control-register"
  static let title = "TCG repeats a control-register write for ever"
  let confidence = Confidence.proven
  private let write: RefusedRegisterWrite
  private let text: String
  private let scene: Scene

  init?(_ hang: Hang) {
    guard hang.scene.accelerator?.value == .tcg else { return nil }
    for (processor, _) in hang.processors where processor.state.isHalted != true {
      var elsewhere = hang.scene.instant(of: processor)
      elsewhere.executor = .hardware
      let next = NextInstruction(at: elsewhere)
      guard case .registerWrite(let write)? = next.certainException?.reason, ["CR3", "CR4"].contains(write.register)
      else {
        continue
      }
      self.write = write
      text = next.instruction?.text ?? ""
      scene = hang.scene
      return
    }
    return nil
  }

  private var feature: ProcessorFeature? {
    if case .missingFeature(let features) = write.rule { features.first } else { nil }
  }

  var summary: String {
    let why =
      switch write.rule {
      case .missingFeature(let features):
        features.first.map {
          "this guest's processor lacks \($0.manualName), \($0.bit), \(scene.decision(on: $0).words)"
        } ?? "the processor lacks the feature"
      case .reserved: "they are reserved on every processor"
      case .combination(let rule): rule
      }
    return
      "`\(text)` writes \(write.value.hexadecimal) to \(write.register), in which \(bitNames(write.bits)) cannot be set: \(why). A processor, and "
      + "KVM, raise #GP (\(ControlRegisterReservedBit.id)); QEMU's TCG makes the write again and again."
  }

  var remedies: [Remedy] {
    let fallback = Remedy.guest(
      feature.map { "set \(bitNames(write.bits)) of \(write.register) only where CPUID has \($0.manualName)" }
        ?? "do not make that write", "The guest then runs on every processor.")
    guard let feature else { return [fallback] }
    return scene.remedies(offering: feature, purpose: feature.manualName, fallback: fallback)
  }

  var evidence: [Evidence] { feature.map { [scene.evidence(of: $0)] } ?? [] }
}

extension RepeatedControlRegisterWrite {
  static let manual = """
    QEMU's TCG 7.2 makes a MOV to CR3 or CR4 with bits that cannot be set again and again, where a processor and KVM raise #GP. The guest
    seems to hang, with RIP at that instruction.

    ## The cure

    That of cpu.control-register-reserved-bit: the CPU model with the feature, or a guest that asks CPUID first.
    """
}
