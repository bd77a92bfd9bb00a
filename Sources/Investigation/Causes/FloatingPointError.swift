import X86

/// `arithmetic.floating-point`: a numeric exception of x87 or SSE that is not masked.
struct FloatingPointError: CauseOfDeath, SingleCause {
  static let id = "arithmetic.floating-point"
  static let title = "A floating-point exception that is not masked"

  private let fault: FirstFault

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .floatingPoint = fault.exception.reason else { return nil }
    self.fault = fault
  }

  private var isX87: Bool { fault.exception.vector == .x87FloatingPoint }

  var summary: String {
    isX87
      ? "An x87 instruction before \(fault.instructionName) met a numeric exception that the control word (FCW) does not mask, and CR0.NE asks for #MF: the next x87 instruction that waits raises it."
      : "\(fault.instructionName) met a numeric exception that MXCSR does not mask: #XM."
  }

  var remedies: [Remedy] {
    [
      .guest(
        isX87
          ? "mask x87's exceptions (FNINIT sets FCW to 37FH), or give #MF, vector 16, a handler that clears them (FNCLEX)"
          : "mask SSE's exceptions (LDMXCSR of 1F80H), or give #XM, vector 19, a handler",
        "Masked, a division by zero gives infinity, and an invalid operation a NaN.")
    ]
  }
}

extension FloatingPointError {
  static let manual = """
    An x87 or SSE instruction met a numeric exception (invalid, denormal, division by zero, overflow, underflow, inexact) whose mask bit is clear, and the
    exception that tells of it has no handler: #MF (vector 16) for x87, #XM (vector 19) for SSE.

    ## How to recognise it

    Of x87: FSW bit 7 (ES) is set, and a bit of FSW 5:0 that is clear in FCW. It is raised by the next x87 instruction that waits, not by the one that is at
    fault. Of SSE: a bit of MXCSR 5:0 whose mask, seven bits further up, is clear. TCG raises no #XM.

    ## Why

    FCW or MXCSR was loaded with 0, or from memory that was never filled: a context switch that restores what nobody saved. Or exceptions were unmasked
    to find errors, without a handler.

    ## The cure

    FNINIT and LDMXCSR of 1F80H, also for each new thread's saved state; or handlers.

    SDM vol. 1, 8.5, 8.7, 11.5; vol. 3, 6.15.
    """
}
