import GuestImage
import X86

/// `segment.task-switch`: JMP, CALL or IRET to a task that cannot be switched to.
struct TaskNotSwitchable: CauseOfDeath, SingleCause {
  static let id = "segment.task-switch"
  static let title = "The task cannot be switched to"
  static let refines = [BadSelector.id]

  private let fault: FirstFault
  /// Nil for IRET in long mode, which has no tasks.
  private let refusal: TaskSwitch.Refusal?

  init?(_ fault: FirstFault, in scene: Scene) {
    switch fault.exception.reason {
    case .taskSwitch(let refusal): self.refusal = refusal
    case .nestedTaskInLongMode: refusal = nil
    default: return nil
    }
    self.fault = fault
  }

  /// A descriptor that was written anew since LTR would not be busy.
  var isDecided: Bool { refusal?.violation != .task(.isCurrentTask) }

  var summary: String {
    guard let refusal else {
      return
        "\(fault.instructionName) is executed with RFLAGS.NT set, which asks for the task before, and long mode has no tasks: #GP."
    }
    let when = refusal.context == nil ? "" : " The registers were the new task's by then."
    return
      "\(fault.instructionName) is to switch to another task, and \(refusal.words): \(refusal.exceptionName).\(when)"
  }

  var remedies: [Remedy] {
    guard refusal != nil else {
      return [.guest("clear NT (bit 14) of RFLAGS before IRET", "It is left over, or came with a bad POPF.")]
    }
    return [
      .guest(
        "a descriptor of an available TSS (type 9, limit 67H) in the GDT, and a TSS that holds CR3, EIP, EFLAGS, ESP and all segments",
        "A task switch loads every register from it.")
    ]
  }

  static let manual = """
    A far JMP or CALL to a TSS or a task gate, or IRET with NT set, switches to another task: all registers come from its TSS. What is wrong
    there raises #TS, #NP or #GP, with the selector that is wrong in the error code.

    ## Why

    - The descriptor is no TSS, or it is the busy one in TR; IRET needs a busy one.
    - Its limit is less than 67H.
    - The TSS is not filled: no CS, SS or DS, an LDT that is none, an EIP beyond the code segment.
    - NT is set in RFLAGS without a task before: POPF or IRET loaded a bad image of it. In long mode IRET then raises #GP.

    ## The cure

    Fill all of the TSS, CR3 too; or switch tasks in software, with one TSS that is loaded once, as all kernels do today.

    SDM vol. 3, 8.2 and 8.3; vol. 2, IRET.
    """
}
