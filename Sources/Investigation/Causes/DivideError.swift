import X86

/// `arithmetic.divide-error`: a division by 0, or with a quotient that does not fit.
struct DivideError: CauseOfDeath, SingleCause {
  static let id = "arithmetic.divide-error"
  static let title = "A division that cannot be made"

  private let fault: FirstFault
  private let isByZero: Bool

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .division(let isByZero) = fault.exception.reason else { return nil }
    self.fault = fault
    self.isByZero = isByZero
  }

  var summary: String {
    isByZero
      ? "\(fault.instructionName) divides by 0: #DE."
      : "\(fault.instructionName) has a quotient that does not fit in the register: the upper half of the dividend (RDX, or what is left "
        + "in it) is not smaller than the divisor: #DE."
  }

  var remedies: [Remedy] {
    let change = isByZero ? "check the divisor" : "clear RDX before DIV (sign-extend into it before IDIV)"
    return [.guest(change, "The dividend is twice as wide as the divisor.")]
  }
}

extension DivideError {
  static let manual = """
    DIV or IDIV by 0, or with a quotient that does not fit into the register: #DE, vector 0.

    ## Why

    The dividend is twice as wide as the divisor, in RDX:RAX: assembly that does not clear RDX (or sign-extend into it with CQO) divides a much
    larger number. Else the divisor comes from something that was not initialised: a frequency that was measured as 0.

    ## The cure

    XOR RDX, RDX before DIV; CQO before IDIV; check the divisor.

    SDM vol. 2, DIV.
    """
}
