import X86

/// `instruction.trap`: an instruction that is there to end the program.
struct TrapInstruction: CauseOfDeath {
  static let id = "instruction.trap"
  static let title = "The guest's own code gave up"

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
