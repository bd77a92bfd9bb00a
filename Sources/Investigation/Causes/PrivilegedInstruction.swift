import GuestImage
import X86

/// `instruction.privileged`: a user program executes what only the kernel may.
struct PrivilegedInstruction: CauseOfDeath {
  static let id = "instruction.privileged"
  static let title = "A privileged instruction outside the kernel"

  private let fault: FirstFault
  private let level: Int

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .privilege(let level) = fault.exception.reason else { return nil }
    self.fault = fault
    self.level = level
  }

  var summary: String {
    let isInputOutput = ["in", "out", "cli", "sti"].contains(fault.instruction?.mnemonic ?? "")
    let rule = isInputOutput ? "which needs CPL 0, or a CPL up to IOPL" : "which needs CPL 0"
    return "\(fault.instructionName) is executed at CPL \(level), \(rule): #GP."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "leave it to the kernel (a system call), or for ports set IOPL or the I/O permission bit map of the TSS",
        "The processor is at CPL \(level).")
    ]
  }
}
