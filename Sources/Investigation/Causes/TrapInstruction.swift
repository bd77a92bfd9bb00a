import X86

/// `instruction.trap`: an instruction that is there to end the program.
struct TrapInstruction: CauseOfDeath, SingleCause {
  static let id = "instruction.trap"
  static let title = "The guest's own code gave up"
  static let refines = [UndefinedInstruction.id]

  private let fault: FirstFault

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .onPurpose = fault.exception.reason else { return nil }
    self.fault = fault
  }

  var summary: String {
    "\(fault.instructionName) raises \(fault.exception.vector.name) by design: compilers and kernels put it where a program must not go "
      + "on (a failed assertion or precondition, a panic, BUG(), unreachable code)."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "look at the condition in front of it: the function and line say which check failed",
        "A handler for \(fault.exception.vector.name), or a message before the instruction, would say more.")
    ]
  }
}

extension TrapInstruction {
  static let manual = """
    The guest came to an instruction that is there to raise an exception: UD2 (0F 0B), UD0, UD1, or INT3 (CC). Compilers put it where a
    program must not go on: failed preconditions and overflows in Swift (`ud2`), Rust's and C's abort and unreachable code, Linux's BUG().

    ## How to recognise it

    The function and the source line in front of it say which check failed. For a kernel that prints, the message is in its log. A page filled
    with CC is memory that was poisoned, or padding between functions: then RIP came there by a bad jump.

    ## The cure

    Mend what the check found. A handler for #UD that prints the place makes the next one easier.

    SDM vol. 2, UD.
    """
}
