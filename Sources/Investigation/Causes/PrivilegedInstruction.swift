import GuestImage
import X86

/// `instruction.privileged`: a user program executes what only the kernel may.
struct PrivilegedInstruction: CauseOfDeath, SingleCause {
  static let id = "instruction.privileged"
  static let title = "A privileged instruction outside the kernel"

  private let fault: FirstFault
  private let rule: Rule

  private enum Rule {
    case level(Int)
    case port(UInt16, String)
    /// In virtual-8086 mode a monitor has to carry the instruction out.
    case virtual8086
  }

  init?(_ fault: FirstFault, in scene: Scene) {
    switch fault.exception.reason {
    case .port(let port, let reason): rule = .port(port, reason)
    case .privilege where fault.state?.mode == .virtual8086 && fault.instruction?.isPrivileged == false:
      rule = .virtual8086
    case .privilege(let level): rule = .level(level)
    default: return nil
    }
    self.fault = fault
  }

  private var level: Int { fault.instant?.currentPrivilegeLevel ?? 3 }

  private var ioPrivilegeLevel: Int { fault.state?.rflags.ioPrivilegeLevel ?? 0 }

  private var instruction: String { fault.instructionName }

  var summary: String {
    switch rule {
    case .level(let level):
      let goesByIOPL = ["cli", "sti"].contains(fault.instruction?.mnemonic ?? "")
      let needs = goesByIOPL ? "which needs CPL 0, or a CPL up to IOPL" : "which needs CPL 0"
      return "\(instruction) is executed at CPL \(level), \(needs): #GP."
    case .port(let port, let reason):
      let mode =
        fault.state?.mode == .virtual8086
        ? "in virtual-8086 mode" : "at CPL \(level), and IOPL is \(ioPrivilegeLevel)"
      return "\(instruction) uses port \(port.hexadecimal) \(mode): the TSS decides, and \(reason). #GP."
    case .virtual8086:
      return
        "\(instruction) is executed in virtual-8086 mode with IOPL \(ioPrivilegeLevel): with an IOPL below 3 it raises #GP, so that a monitor in the kernel can carry it out. No handler did."
    }
  }

  var remedies: [Remedy] {
    switch rule {
    case .virtual8086:
      [
        .guest(
          "a #GP handler that looks at the instruction at CS:IP and does for the program what it asks: INT, IRET, CLI, STI, PUSHF and POPF",
          "That is how virtual-8086 mode is meant to be used."),
        .guest(
          "or IOPL 3 in the frame that IRET takes, and a gate with DPL 3 for each INT that the program uses",
          "Then nothing keeps the program from turning interrupts off."),
      ]
    case .level, .port:
      [
        .guest(
          "leave it to the kernel (a system call), or for ports set IOPL or the I/O permission bit map of the TSS",
          "The processor is at CPL \(level).")
      ]
    }
  }
}

extension PrivilegedInstruction {
  static let manual = """
    Code at CPL 3 executes what only CPL 0 may (HLT, LGDT, MOV to CR0, RDMSR, …), or IN, OUT, CLI or STI at a CPL above IOPL: #GP with error
    code 0.

    Ports can be permitted one by one, in the I/O permission bit map of the TSS. In virtual-8086 mode INT n, IRET, CLI, STI, PUSHF and POPF
    raise #GP if IOPL is less than 3, and ports go by the bit map alone.

    ## Why

    A program does what is the kernel's business; or kernel code runs at CPL 3, because the selector that IRET or SYSRET loaded has RPL 3. After
    SYSRET, CS is IA32_STAR[63:48] + 16 with RPL 3.

    ## The cure

    A system call; for ports, IOPL or the I/O permission bit map in the TSS: its base at 66H, within the limit of the TSS, with a byte of ones
    behind it. For virtual-8086 mode a monitor, which #GP calls.

    SDM vol. 3, 5.9 and 21.2.7; vol. 1, 19.5.
    """
}
