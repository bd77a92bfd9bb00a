import X86

/// `paging.supervisor-page`: a user program's access to a page of the kernel.
struct SupervisorPage: PageFaultCause, SingleCause {
  static let id = "paging.supervisor-page"
  static let title = "A user program's access to a page of the kernel"
  static let refines = [ForbiddenAccess.id]

  let fault: FirstFault
  let access: FailedAccess
  let mark = "U/S is clear"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.protectionViolations(fault.state).contains(.supervisorOnly) else {
      return nil
    }
    (self.fault, self.access) = (fault, access)
  }

  var summary: String {
    "\(deed), a page of the supervisor, at CPL 3: U/S (bit 2) is clear in \(entries { !$0.isUser })."
  }

  var remedies: [Remedy] {
    [.guest("set U/S in every level that maps the program's pages", "A page is the user's only if each level says so.")]
  }
}

extension SupervisorPage {
  static let manual = """
    A program at CPL 3 touches a page of the kernel: U/S is clear in at least one level of the walk. #PF with U (bit 2) and P in the error code.

    ## Why

    - The program's pages were mapped with U/S in the last level only; each level must have it.
    - IRET or SYSRET went to code that is mapped for the kernel alone.
    - A bad pointer in the program; a kernel then ends the program. Without a handler it is the guest's end.

    ## The cure

    Set U/S (bit 2) in every level that leads to the program's pages, and have a handler for #PF before the first program runs.

    SDM vol. 3, 4.6.1.
    """
}
