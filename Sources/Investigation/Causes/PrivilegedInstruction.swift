import GuestImage
import X86

/// `instruction.privileged`: a user program executes what only the kernel may.
struct PrivilegedInstruction: CauseOfDeath, SingleCause {
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

extension PrivilegedInstruction {
  static let manual = """
    Code at CPL 3 executes what only CPL 0 may (HLT, LGDT, MOV to CR0, RDMSR, …), or IN, OUT, CLI or STI at a CPL above IOPL: #GP with error
    code 0.

    ## Why

    A program does what is the kernel's business; or kernel code runs at CPL 3, because the selector that IRET or SYSRET loaded has RPL 3. After
    SYSRET, CS is IA32_STAR[63:48] + 16 with RPL 3.

    ## The cure

    A system call; for ports, IOPL or the I/O permission bit map in the TSS.

    SDM vol. 3, 5.9; vol. 1, 19.5.
    """
}
