import GuestImage
import X86

/// `memory.misaligned`: an instruction for aligned operands got one that is not.
struct MisalignedOperand: CauseOfDeath, SingleCause {
  static let id = "memory.misaligned"
  static let title = "An operand that is not aligned"

  private let fault: FirstFault
  private let address: LinearAddress
  private let size: Int

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .misaligned(let address, let size) = fault.exception.reason else { return nil }
    self.fault = fault
    self.address = address
    self.size = size
  }

  var summary: String {
    let registers = fault.operand(at: address).flatMap(fault.registers).map { " (\($0))" } ?? ""
    return
      "\(fault.instructionName) needs its operand at a multiple of \(size), and it is at \(address.rawValue.hexadecimal)"
      + "\(registers): \(fault.exception.vector.name).\(stack)"
  }

  /// The calling convention wants RSP at a multiple of 16 before each call (System V ABI, 3.2.2).
  private var stack: String {
    guard let state = fault.state, let base = fault.operand(at: address)?.memory?.base,
      base == .general(number: 4, bits: 64) || base == .general(number: 5, bits: 64)
    else { return "" }
    return
      " It is on the stack, whose pointer is \(state.generalPurpose.rsp.hexadecimal): compilers rely on RSP being a multiple of 16 "
      + "at each call."
  }

  var remedies: [Remedy] {
    let change =
      stack.isEmpty
      ? "align the data to \(size) bytes, or use an instruction for unaligned operands (MOVUPS)"
      : "align RSP to 16 bytes before the first call, in the entry code and in interrupt stubs"
    return [.guest(change, "Compilers choose such instructions where the type promises the alignment.")]
  }
}

extension MisalignedOperand {
  static let manual = """
    MOVAPS, MOVDQA, MOVNTPS and their kin, FXSAVE and CMPXCHG16B need an operand at a multiple of its size: else #GP with error code 0.

    ## Why

    Most often the stack: compilers assume that RSP is a multiple of 16 at each call (System V ABI), and store to it with MOVAPS. Entry code
    and interrupt stubs that push an odd number of words break that; an exception with an error code pushes six words, one without five.

    ## The cure

    Align RSP before the first call: `and rsp, -16`, and in each stub. Or build without SSE.

    SDM vol. 2, 2.4 and MOVAPS; System V ABI, AMD64 supplement, 3.2.2.
    """
}
