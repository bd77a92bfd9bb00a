import X86

/// `paging.smap`: the kernel touches a page of user programs.
struct SupervisorModeAccessPrevention: PageFaultCause {
  static let id = "paging.smap"
  static let title = "The kernel touches a user page (SMAP)"

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
