import GuestImage
import X86

/// `hang.self-loop`: a jump to itself with interrupts off.
struct SelfLoop: CauseOfHang, SingleCause {
  static let id = "hang.self-loop"
  static let title = "A jump to itself"
  let confidence: Confidence
  let mayEndHandler = true
  private let kind: Kind

  private enum Kind {
    case jump(String, LinearAddress)
    /// A loop that waits for a variable of its own function, which nobody else knows.
    case ownVariable(ShortLoop)
  }

  /// A further processor may be halted or never started.
  init?(_ hang: Hang) {
    let started = hang.started
    // An interrupt can wake a halted processor that has them on, and that one may get on.
    guard started.allSatisfy({ !$0.processor.state.rflags.contains(.interruptEnable) }) else { return nil }
    let running = started.filter { $0.processor.state.isHalted != true }
    guard let first = running.first else { return nil }
    if running.allSatisfy({ processor, next in
      guard let instruction = next.instruction, instruction.mnemonic == "jmp" else { return false }
      return instruction.branchTarget == processor.state.rip && !processor.state.rflags.contains(.interruptEnable)
    }) {
      kind = .jump(first.next.instruction?.text ?? "", first.processor.state.instructionAddress)
      confidence = .proven
      return
    }
    guard running.count == 1, let loop = ShortLoop(at: hang.scene.instant(of: first.processor), tryingLocks: true),
      loop.readsOnlyOwnVariables
    else { return nil }
    kind = .ownVariable(loop)
    confidence = .likely
  }

  var title: String { if case .jump = kind { Self.title } else { "A loop that is meant to have no end" } }

  var summary: String {
    switch kind {
    case .jump(let text, let address):
      "`\(text)` at \(address.rawValue.hexadecimal) jumps to itself, and interrupts are off: the processor does nothing else any more. It is how "
        + "code ends that has nowhere to go: the end of the boot code, a panic."
    case .ownVariable(let loop):
      "The processor runs in a loop from `\(loop.first.text)` at \(loop.first.address.hexadecimal) to `\(loop.last.text)` at \(loop.last.address.hexadecimal), "
        + "which looks at nothing but a variable on its own stack, and interrupts are off: nobody else writes there. So code ends that has "
        + "nowhere to go and is to be seen in a debugger, as CpuDeadLoop of UEFI firmware (EDK2), after an exception or a failed assertion, of which the "
        + "serial port or the debug console tells."
    }
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

    The end of boot code, a panic, a `loop {}` where nothing was expected to return. UEFI firmware (EDK2's CpuDeadLoop) waits for a variable on its own
    stack, which a debugger may set; it does so after an exception or a failed assertion, which it has told on the serial port or the debug console.

    SDM vol. 2, JMP.
    """
}
