import GuestImage
import X86

/// `arithmetic.divide-error`: a division by 0, or with a quotient that does not fit.
struct DivideError: CauseOfDeath, SingleCause {
  static let id = "arithmetic.divide-error"
  static let title = "A division that cannot be made"

  private let fault: FirstFault
  private let mistake: Mistake

  private enum Mistake {
    case byZero
    /// The least number that the register can hold, divided by -1: the only signed division of a number of one register that has no quotient.
    case leastNumber
    /// The upper half of the dividend is too large.
    case upperHalf
  }

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .division(let isByZero) = fault.exception.reason else { return nil }
    self.fault = fault
    mistake = isByZero ? .byZero : fault.isDividendOfOneRegister ? .leastNumber : .upperHalf
  }

  private var isSigned: Bool { fault.instruction?.mnemonic == "idiv" }
  private var upperHalf: String { fault.instruction?.operandWidth == 8 ? "AH" : "RDX" }

  var summary: String {
    switch mistake {
    case .byZero: "\(fault.instructionName) divides by 0: #DE."
    case .leastNumber:
      "\(fault.instructionName) divides the least number that the register can hold by -1: the quotient does not fit, being one more than the greatest: #DE."
    case .upperHalf where isSigned:
      "\(fault.instructionName) has a quotient that does not fit in the register: the upper half of the dividend (\(upperHalf), or what is left in it) is more "
        + "than the sign of the lower: #DE."
    case .upperHalf:
      "\(fault.instructionName) has a quotient that does not fit in the register: the upper half of the dividend (\(upperHalf), or what is left "
        + "in it) is not smaller than the divisor: #DE."
    }
  }

  var remedies: [Remedy] {
    switch mistake {
    case .byZero: [.guest("check the divisor", "No number is the quotient.")]
    case .leastNumber: [.guest("check for a divisor of -1, and negate instead", "Every other divisor has a quotient.")]
    case .upperHalf:
      [
        .guest(
          isSigned
            ? "sign-extend into \(upperHalf) before IDIV (CBW, CWD, CDQ, CQO)" : "clear \(upperHalf) before DIV",
          "The dividend is twice as wide as the divisor.")
      ]
    }
  }
}

extension FirstFault {
  /// Whether the upper half of IDIV's dividend is no more than the sign of the lower.
  fileprivate var isDividendOfOneRegister: Bool {
    guard let instruction, instruction.mnemonic == "idiv", let registers = state?.generalPurpose else { return false }
    let low = Int64(bitPattern: registers.rax)
    return switch instruction.operandWidth {
    case 8: Int16(truncatingIfNeeded: low) == Int16(Int8(truncatingIfNeeded: low))
    case 16: UInt16(truncatingIfNeeded: registers.rdx) == UInt16(bitPattern: Int16(truncatingIfNeeded: low) >> 15)
    case 32: UInt32(truncatingIfNeeded: registers.rdx) == UInt32(bitPattern: Int32(truncatingIfNeeded: low) >> 31)
    default: registers.rdx == UInt64(bitPattern: low >> 63)
    }
  }
}

extension DivideError {
  static let manual = """
    DIV or IDIV by 0, or with a quotient that does not fit into the register: #DE, vector 0.

    ## Why

    The dividend is twice as wide as the divisor, in RDX:RAX: assembly that does not clear RDX (or sign-extend into it with CQO) divides a much
    larger number. Else the divisor comes from something that was not initialised: a frequency that was measured as 0.

    ## The cure

    XOR RDX, RDX before DIV; CQO before IDIV; check the divisor: for 0, and with IDIV for -1, by which the least number has no quotient.

    SDM vol. 2, DIV.
    """
}
