/// `syscall.not-set-up`: SYSENTER or SYSEXIT before the MSR that names its code segment was written.
struct FastCallNotSetUp: CauseOfDeath {
  static let manuals: [ManualPage] = []

  private let fault: FirstFault

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .systemCallNotSetUp = fault.exception.reason else { return nil }
    self.fault = fault
  }

  var id: String { SyscallTarget.id }
  var title: String { "IA32_SYSENTER_CS was not set" }

  var summary: String {
    "\(fault.instructionName) raises #GP with error code 0 where it may be executed only if IA32_SYSENTER_CS (MSR 174H) holds a null selector: nobody set the MSR that names the kernel's code segment."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "write IA32_SYSENTER_CS, IA32_SYSENTER_ESP and IA32_SYSENTER_EIP (MSRs 174H to 176H) on each processor before the first program runs",
        "SYSENTER takes CS from the first, SS from the descriptor behind it, ESP and EIP from the others.")
    ]
  }
}
