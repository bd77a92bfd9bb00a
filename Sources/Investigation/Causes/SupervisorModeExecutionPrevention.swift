import X86

/// `paging.smep`: the kernel executes a page of user programs.
struct SupervisorModeExecutionPrevention: PageFaultCause {
  static let id = "paging.smep"
  static let title = "The kernel executes a user page (SMEP)"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "U/S is set, and CR4.SMEP forbids the supervisor to execute it"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.protectionViolations(fault.state).contains(.supervisorExecution)
    else {
      return nil
    }
    (self.fault, self.access) = (fault, access)
  }

  var offendingBits: UInt64 { 1 << 2 }

  var summary: String {
    "\(deed), a page of user programs (U/S is set in every level), at CPL \(fault.instant?.currentPrivilegeLevel ?? 0): "
      + "CR4.SMEP forbids that."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "clear U/S (bit 2) in the entries that map the kernel's code",
        "Or leave CR4.SMEP clear as long as the two share pages.")
    ]
  }
}
