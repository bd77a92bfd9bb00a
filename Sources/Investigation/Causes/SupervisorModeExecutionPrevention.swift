import X86

/// `paging.smep`: the kernel executes a page of user programs.
struct SupervisorModeExecutionPrevention: PageFaultCause, SingleCause {
  static let id = "paging.smep"
  static let title = "The kernel executes a user page (SMEP)"
  static let refines = [ForbiddenAccess.id]

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

extension SupervisorModeExecutionPrevention {
  static let manual = """
    The kernel executes code in a page that user programs may use (U/S is set in every level), and CR4.SMEP forbids that: #PF, error code 11H.

    ## Why

    The kernel's own pages were mapped with U/S by mistake: early tables often set all of P, R/W and U/S. It lives as long as SMEP is off,
    as on processor models without it. Or a bad pointer leads the kernel into a program.

    ## The cure

    Clear U/S (bit 2) in one level at least of what maps the kernel. SMEP needs CPUID.(EAX=07H,ECX=0):EBX[7].

    SDM vol. 3, 4.6.1.
    """
}
