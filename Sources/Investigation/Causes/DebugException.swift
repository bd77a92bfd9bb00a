import X86

/// `interrupt.debug-exception`: a breakpoint or a single step that nobody handles.
struct DebugException: CauseOfDeath, SingleCause {
  static let id = "interrupt.debug-exception"
  static let title = "A debug exception that nobody handles"

  private let fault: FirstFault
  private let condition: DebugCondition

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .debug(let condition) = fault.exception.reason else { return nil }
    (self.fault, self.condition) = (fault, condition)
  }

  var isDecided: Bool { condition != .unknown }

  var summary: String {
    let debug = fault.state?.debug
    let status = debug.map { ", and DR6 is \($0.dr6.hexadecimal)" } ?? ""
    switch condition {
    case .singleStep:
      return
        "RFLAGS.TF is set, which raises #DB after each instruction\(status), and #DB has no handler that can be reached."
    case .breakpoint(let number, let address, let isOfExecution):
      let what = isOfExecution ? "the instruction" : "the data"
      return
        "DR7 (\((debug?.dr7 ?? 0).hexadecimal)) turns on breakpoint \(number), for \(what) at \(address.rawValue.hexadecimal)\(status): #DB, which has no handler that can be reached."
    case .unknown:
      return
        "#DB was raised: by a breakpoint of DR7, by RFLAGS.TF, or by a task switch. It has no handler that can be reached."
    }
  }

  var remedies: [Remedy] {
    let change =
      switch condition {
      case .singleStep: "clear TF (bit 8) of RFLAGS, or give #DB (vector 1) a handler"
      default: "clear the breakpoints in DR7, or give #DB (vector 1) a handler"
      }
    return [
      .guest(change, "A POPF or IRET with a bad image of RFLAGS sets TF; firmware and debuggers leave breakpoints on.")
    ]
  }

  static let manual = """
    #DB, vector 1, has no handler that can be reached.

    ## Why

    - RFLAGS.TF is set: an exception after each instruction. A POPF or IRET took a bad image of RFLAGS from the stack, or a debugger's step was left on.
    - DR7 turns a breakpoint on, and its instruction is executed or its data accessed: left by a debugger or by what ran before, as debug registers
      outlive a jump to another kernel (kexec).
    - INT1 (F1), or a switch to a task whose TSS has the T bit set.

    ## How to recognise it

    DR6 says what was met: bits 0 to 3 the breakpoint, bit 14 (BS) the single step. A breakpoint of an instruction has RIP at it, all others behind it.

    ## The cure

    Clear DR7 and RFLAGS.TF in the entry code; a handler for #DB that clears DR6.

    SDM vol. 3, 17.2 and 17.3.
    """
}
