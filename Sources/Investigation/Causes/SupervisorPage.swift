import X86

/// `paging.supervisor-page`: a user program's access to a page of the kernel.
struct SupervisorPage: PageFaultCause {
  static let id = "paging.supervisor-page"
  static let title = "A user program's access to a page of the kernel"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "U/S is clear"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.protectionViolations(fault.state).contains(.supervisorOnly) else {
      return nil
    }
    (self.fault, self.access) = (fault, access)
  }

  private var entries: String {
    access.steps.filter { !$0.entry.isUser }.map { "\($0.structure.entryName) \($0.entry.rawValue.hexadecimal)" }
      .joined(separator: ", ")
  }

  var summary: String { "At CPL 3, \(deed), a page of the supervisor: U/S (bit 2) is clear in \(entries)." }

  var remedies: [Remedy] {
    [.guest("set U/S in every level that maps the program's pages", "A page is the user's only if each level says so.")]
  }
}
