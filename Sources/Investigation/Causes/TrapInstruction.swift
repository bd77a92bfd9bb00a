import X86

/// `instruction.trap`: an instruction that is there to end the program.
struct TrapInstruction: CauseOfDeath, SingleCause {
  static let id = "instruction.trap"
  static let title = "The guest's own code gave up"
  static let refines = [UndefinedInstruction.id]

  private let fault: FirstFault
  /// Whether the bytes were read where they lie: a log shows what was executed, which something may have put there.
  private let isRead: Bool
  /// What BOUND found; nil for the others.
  private let bounds: String?

  init?(_ fault: FirstFault, in scene: Scene) {
    switch fault.exception.reason {
    case .onPurpose: bounds = nil
    case .outOfBounds(let index, let lower, let upper):
      bounds = "the index is \(index), and the bounds are \(lower) and \(upper)"
    default: return nil
    }
    isRead = scene.memory != nil
    // What was copied there may be the code that was meant, or not.
    if !isRead, let state = fault.state, scene.listedCopy(over: state.instructionAddress.rawValue, state) != nil {
      return nil
    }
    self.fault = fault
  }

  /// An IDT without a gate makes the instruction a way to reset the machine, which is one of Linux's (arch/x86/kernel/reboot.c:
  /// native_machine_emergency_restart, BOOT_TRIPLE, 6.1: an IDT of no bytes, then INT3). Whether it was meant so, the code does not tell: it is
  /// the same as of one that forgot to fill its table.
  private var isPerhapsReset: Bool { bounds == nil && fault.state?.idtr.limit == 0 }

  var isDecided: Bool { isRead && !isPerhapsReset }

  var summary: String {
    if let bounds {
      return "\(fault.instructionName) checks an index: \(bounds), so it raises \(fault.exception.vector.name)."
    }
    if isPerhapsReset {
      return
        "\(fault.instructionName) raises \(fault.exception.vector.name) by design, and the IDT has no gate at all (limit 0). Kernels reset "
        + "the machine like that on purpose (Linux, the last of its ways and with reboot=t); else it is where a program must not go on (a failed "
        + "assertion, a panic), before its IDT was set up."
    }
    return
      "\(fault.instructionName) raises \(fault.exception.vector.name) by design: compilers and kernels put it where a program must not go "
      + "on (a failed assertion or precondition, a panic, BUG(), unreachable code)."
      + (isRead ? "" : " The memory there was not read: it may also have been written over the code.")
  }

  var remedies: [Remedy] {
    let condition: [Remedy] = [
      .guest(
        "look at the condition in front of it: the function and line say which check failed",
        "A handler for \(fault.exception.vector.name), or a message before the instruction, would say more.")
    ]
    guard isPerhapsReset else { return condition }
    return [
      .guest(
        "nothing, if the guest was to reboot", "A triple fault resets the machine whatever else is the matter with it.")
    ] + condition
  }
}

extension TrapInstruction {
  static let manual = """
    The guest came to an instruction that is there to raise an exception: UD2 (0F 0B), UD0, UD1, INT3 (CC), INTO (CE) after an overflow, or BOUND with an
    index that is out of bounds. Compilers put it where a
    program must not go on: failed preconditions and overflows in Swift (`ud2`), Rust's and C's abort and unreachable code, Linux's BUG().
    INT3 and INTO go through the IDT as INT n does: what keeps them from their gate is named instead, if the registers and the memory show it.

    ## How to recognise it

    The function and the source line in front of it say which check failed. For a kernel that prints, the message is in its log. A page filled
    with CC is memory that was poisoned, or padding between functions: then RIP came there by a bad jump.

    With an IDT of limit 0 it may be a reset that was meant: Linux loads such a table and executes INT3 where the machine's other ways to reset
    do nothing, or with `reboot=t`.

    ## The cure

    Mend what the check found. A handler for #UD that prints the place makes the next one easier.

    SDM vol. 2, UD.
    """
}
