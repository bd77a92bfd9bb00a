import X86

/// `paging.not-present`: an access to data that is not mapped.
struct PageNotMapped: PageFaultCause {
  static let id = "paging.not-present"
  static let title = "An access to memory that is not mapped"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.meetsNoPage, access.access.kind != .fetch else { return nil }
    (self.fault, self.access) = (fault, access)
  }

  var summary: String { "\(deed), which is not mapped: \(lastEntry) is not present." }

  var remedies: [Remedy] {
    [
      .guest(
        "map \(place), or find out where the address comes from",
        "If the kernel means to map pages on demand, a handler for #PF must be in the IDT before.")
    ]
  }
}
