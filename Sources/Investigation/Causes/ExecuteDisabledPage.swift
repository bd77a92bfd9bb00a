import X86

/// `paging.execute-disabled`: code in a page that must not be executed.
struct ExecuteDisabledPage: PageFaultCause, SingleCause {
  static let id = "paging.execute-disabled"
  static let title = "Code in a page that is not executable"
  static let refines = [ForbiddenAccess.id]

  let fault: FirstFault
  let access: FailedAccess
  let mark = "XD is set"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.protectionViolations(fault.state).contains(.executeDisabled)
    else {
      return nil
    }
    (self.fault, self.access) = (fault, access)
  }

  var offendingBits: UInt64 { access.last.map { $0.entry.rawValue & 1 << 63 } ?? 0 }

  var summary: String {
    "\(deed), a page that is not executable: XD (bit 63) is set in \(entries { $0.isExecuteDisabled })."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "clear XD in the entries that map code, or find out what jumped into data",
        "One level with XD suffices to forbid execution.")
    ]
  }
}

extension ExecuteDisabledPage {
  static let manual = """
    Code is fetched from a page with XD (bit 63; NX for AMD) in one of its entries, and EFER.NXE is set: #PF with I/D (bit 4) and P.

    ## Why

    A table entry above the page has XD: it forbids execution of all below. A kernel that marks data as not executable marked its code too, by
    a wrong section boundary. Or something jumped into data: a stack, a heap.

    ## The cure

    Clear XD in every level that leads to code.

    SDM vol. 3, 4.6.1.
    """
}
