import X86

/// `paging.smap`: the kernel touches a page of user programs.
struct SupervisorModeAccessPrevention: PageFaultCause, SingleCause {
  static let id = "paging.smap"
  static let title = "The kernel touches a user page (SMAP)"
  static let refines = [ForbiddenAccess.id]

  let fault: FirstFault
  let access: FailedAccess
  let mark = "U/S is set, and CR4.SMAP forbids the supervisor to touch it"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.protectionViolations(fault.state).contains(.supervisorAccess)
    else {
      return nil
    }
    (self.fault, self.access) = (fault, access)
  }

  var offendingBits: UInt64 { 1 << 2 }

  var summary: String {
    "\(deed), a page of user programs (U/S is set in every level): CR4.SMAP forbids that while RFLAGS.AC is clear."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "execute STAC before and CLAC after the access, or clear U/S where the page is the kernel's own",
        "SMAP catches the kernel's accesses to user memory that are not meant.")
    ]
  }
}

extension SupervisorModeAccessPrevention {
  static let manual = """
    The kernel reads or writes a page that user programs may use (U/S is set in every level), CR4.SMAP is set and RFLAGS.AC is clear: #PF with
    P set.

    ## Why

    A copy from or to a program's memory without STAC; or the kernel's own pages, stack, IDT, GDT or TSS were mapped with U/S by mistake. The
    processor's own accesses to IDT, GDT and TSS are bound by SMAP whatever RFLAGS.AC says.

    ## The cure

    STAC before and CLAC after the access; clear U/S in what maps the kernel's own data.

    SDM vol. 3, 4.6.1; KVM and TCG lift SMAP by AC for implicit accesses below CPL 3 as well (measured).
    """
}
