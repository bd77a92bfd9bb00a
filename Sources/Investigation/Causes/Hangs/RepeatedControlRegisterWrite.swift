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

/// `hang.tcg-control-register` by a log of `-d in_asm`: TCG means to leave a nested guest with an error, there is none, and the same is executed
/// again (target/i386/tcg/sysemu/misc_helper.c: helper_write_crN, 7.2).
struct LoggedControlRegisterWrite: CauseOfHang {
  let confidence = Confidence.likely
  private let pointer: UInt64
  private let count: Int
  private let instruction: Instruction?
  private let source: Source

  /// Fewer may be of a hypervisor whose guest fails.
  private static let fewest = 16
  /// SVM_EXIT_ERR, as TCG prints it: VMEXIT_INVALID (APM vol. 2, appendix C).
  private static let error: UInt64 = 0xFFFF_FFFF

  init?(_ hang: Hang) {
    let log = hang.scene.log.reversed().filter { entry in
      switch entry.value {
      case .codeListing, .statement: false
      default: true
      }
    }
    guard let last = log.first, case .nestedExit(Self.error, let pointer) = last.value else { return nil }
    count = log.prefix { $0.value == last.value }.count
    guard count >= Self.fewest else { return nil }
    self.pointer = pointer
    source = last.source
    instruction = hang.scene.codeAsListed(at: pointer).flatMap { code in
      try? Instruction.decode(code, at: pointer, mode: .long64)
    }
  }

  var id: String { RepeatedControlRegisterWrite.id }
  var title: String { RepeatedControlRegisterWrite.title }

  private var name: String { instruction.map { "`\($0.text)`" } ?? "The instruction" }

  var summary: String {
    "\(name) at \(pointer.hexadecimal) is executed again and again, \(count) times at the end of the log: each time TCG prints vmexit(ffffffff …), which it does where a write of CR3 or CR4 has bits set that cannot be. A processor, and KVM, raise #GP there. The log does not show the value."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "write only bits that CPUID offers, and in a mode in which they may change: not CR4.LA57 or CR4.PAE in long mode, and CR4.PCIDE only there",
        "inquest run shows the value, and which of its bits cannot be set.")
    ]
  }

  var evidence: [Evidence] { [Evidence("TCG printed vmexit(ffffffff …) \(count) times for the same place", source)] }
}

extension RepeatedControlRegisterWrite {
  static let manual = """
    QEMU's TCG 7.2 makes a MOV to CR3 or CR4 with bits that cannot be set again and again, where a processor and KVM raise #GP. The guest
    seems to hang, with RIP at that instruction.

    ## The cure

    That of cpu.control-register-reserved-bit: the CPU model with the feature, or a guest that asks CPUID first.
    """
}
