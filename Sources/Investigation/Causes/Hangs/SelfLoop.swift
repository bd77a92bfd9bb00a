import GuestImage
import X86

/// `hang.self-loop`: a jump to itself with interrupts off.
struct SelfLoop: CauseOfHang, SingleCause {
  static let id = "hang.self-loop"
  static let title = "A jump to itself"
  let confidence = Confidence.proven
  private let text: String
  private let address: LinearAddress

  /// A further processor may be halted or never started.
  init?(_ hang: Hang) {
    let started = hang.started
    // An interrupt can wake a halted processor that has them on, and that one may get on.
    guard started.allSatisfy({ !$0.processor.state.rflags.contains(.interruptEnable) }) else { return nil }
    let running = started.filter { $0.processor.state.isHalted != true }
    guard let first = running.first,
      running.allSatisfy({ processor, next in
        guard let instruction = next.instruction, instruction.mnemonic == "jmp" else { return false }
        return instruction.branchTarget == processor.state.rip && !processor.state.rflags.contains(.interruptEnable)
      })
    else { return nil }
    text = first.next.instruction?.text ?? ""
    address = first.processor.state.instructionAddress
  }

  var summary: String {
    "`\(text)` at \(address.rawValue.hexadecimal) jumps to itself, and interrupts are off: the processor does nothing else any more. It is how "
      + "code ends that has nowhere to go: the end of the boot code, a panic."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out why the guest came to this place: what calls it, or what returned to it",
        "A message in front of the loop, and HLT in it, would tell and spare the host's processor.")
    ]
  }
}

extension SelfLoop {
  static let manual = """
    The processor executes a jump to itself, and interrupts are off: nothing else can happen any more. With interrupts on it may be a way to
    wait; then the verdict does not call it a hang.

    ## Why

    The end of boot code, a panic, a `loop {}` where nothing was expected to return.

    SDM vol. 2, JMP.
    """
}
