import X86

/// `segment.call-gate-stack`: a call gate leads to an inner level, and the TSS has no stack for that.
struct CallGateStack: CauseOfDeath, SingleCause {
  static let id = "segment.call-gate-stack"
  static let title = "The call gate finds no stack"

  private let fault: FirstFault
  private let obstacle: HandlerPath.Obstacle

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .noInnerStack(let obstacle) = fault.exception.reason else { return nil }
    (self.fault, self.obstacle) = (fault, obstacle)
  }

  var isDecided: Bool { obstacle.isDecided }

  var summary: String {
    "\(fault.instructionName) goes through a call gate to an inner level, which needs a stack of the TSS: \(obstacle.words)."
  }

  var remedies: [Remedy] {
    [.guest(obstacle.remedy, "The processor takes SS and ESP of the inner level from the TSS.")]
  }

  static let manual = """
    A CALL through a call gate to more privileged code takes SS and ESP of that level from the TSS (in long mode RSP alone), and pushes SS, ESP, the
    parameters, CS and EIP there. What is wrong with that raises #TS, #SS, #GP or #PF at the CALL.

    ## Why

    - TR was never loaded, or holds a TSS that ends before the level's stack: #TS with TR's selector.
    - SS0 of the TSS is null, or names no writable data segment of that level: #TS with that selector.
    - ESP0 points to where nothing is mapped: #PF.

    ## The cure

    A TSS with SS0 and ESP0 (RSP0) of a mapped, writable stack, loaded with LTR before the first call from an outer level.

    SDM vol. 2, CALL; vol. 3, 5.8.5.
    """
}
