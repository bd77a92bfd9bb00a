import X86

/// `paging.null-pointer`: an access through a pointer that is null, or to a member of what such a pointer points to.
struct NullPointer: PageFaultCause {
  static let id = "paging.null-pointer"
  static let title = "An access through a null pointer"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present"

  /// The first page is left unmapped to catch null pointers; members of large structures may lie behind it.
  private static let lastNearNull: UInt64 = 0xFFF

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.meetsNoPage, access.access.kind != .fetch,
      access.address.rawValue <= Self.lastNearNull, !fault.isStackAccess(access.address)
    else { return nil }
    (self.fault, self.access) = (fault, access)
  }

  var summary: String {
    "\(deed), in the page at 0, which is not mapped: a null pointer, or the member of a structure at one."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out why the pointer is null: whoever was to set it has not run, or failed",
        "The page at 0 is unmapped for this.")
    ]
  }
}
