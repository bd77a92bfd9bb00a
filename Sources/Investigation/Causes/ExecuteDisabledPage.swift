import X86

/// `paging.execute-disabled`: code in a page that must not be executed.
struct ExecuteDisabledPage: PageFaultCause {
  static let id = "paging.execute-disabled"
  static let title = "Code in a page that is not executable"

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

  private var entries: String {
    access.steps.filter(\.entry.isExecuteDisabled).map { "\($0.structure.entryName) \($0.entry.rawValue.hexadecimal)" }
      .joined(separator: ", ")
  }

  var summary: String { "\(deed), a page that is not executable: XD (bit 63) is set in \(entries)." }

  var remedies: [Remedy] {
    [
      .guest(
        "clear XD in the entries that map code, or find out what jumped into data",
        "One level with XD suffices to forbid execution.")
    ]
  }
}
