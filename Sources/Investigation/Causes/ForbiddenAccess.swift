import X86

/// `paging.access-denied`: a page is there and does not allow the access, and the tables that would tell why are not at hand.
struct ForbiddenAccess: PageFaultCause, SingleCause {
  static let id = "paging.access-denied"
  static let title = "A page that does not allow the access"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not allowed"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.steps.isEmpty, access.cause == nil,
      access.errorCode.contains(.present), access.errorCode.isDisjoint(with: [.reserved, .protectionKey])
    else { return nil }
    (self.fault, self.access) = (fault, access)
  }

  /// The error code says so itself.
  var isDecided: Bool { true }

  private var reasons: [String] {
    var reasons: [String] = []
    if access.access.isUser { reasons.append("it is the supervisor's (U/S is clear in a level)") }
    if access.access.kind == .write { reasons.append("it is read-only (R/W is clear in a level)") }
    if access.access.kind == .fetch { reasons.append("it is not executable (XD is set in a level)") }
    if !access.access.isUser, fault.state?.cr4.contains(.supervisorAccessPrevention) == true {
      reasons.append("it is a program's, and SMAP is on")
    }
    if !access.access.isUser, fault.state?.cr4.contains(.supervisorExecutionPrevention) == true {
      reasons.append("it is a program's, and SMEP is on")
    }
    return reasons
  }

  var summary: String {
    let reason = reasons.isEmpty ? "" : " Either \(reasons.joined(separator: ", or "))."
    return "\(deed): a page is there (P), and it does not allow the access, \(access.errorCode.words).\(reason)"
  }

  var remedies: [Remedy] {
    [
      .guest(
        "look at each level of the walk: `inquest walk \(place)` on a dump of the memory, or inquest run",
        "A page allows only what every level allows.")
    ]
  }

  static let manual = """
    The walk found a page, and the page does not allow the access: #PF with P (bit 0) in the error code. Several rules may be the reason, and
    what is at hand, a log perhaps, does not show the entries that would tell.

    ## How to recognise it

    The error code has P and no RSVD. With W/R (bit 1) the page may be read-only (paging.read-only), with U/S (bit 2) the supervisor's
    (paging.supervisor-page), with I/D (bit 4) not executable (paging.execute-disabled). A supervisor's access to a user's page fails under
    SMEP (paging.smep) and SMAP (paging.smap).

    ## The cure

    `inquest walk CR2` on a dump of the memory shows each level and what it allows; `inquest run` looks by itself.

    SDM vol. 3, 4.6 and 4.7.
    """
}
