import X86

/// `paging.read-only`: a write to a page that may only be read.
struct ReadOnlyPage: PageFaultCause, SingleCause {
  static let id = "paging.read-only"
  static let title = "A write to a read-only page"
  static let refines = [ForbiddenAccess.id]

  let fault: FirstFault
  let access: FailedAccess
  let offendingBits: UInt64 = 0
  let mark = "R/W is clear"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.protectionViolations(fault.state).contains(.readOnly) else {
      return nil
    }
    (self.fault, self.access) = (fault, access)
  }

  var summary: String {
    let reason = access.access.isUser ? "" : " CR0.WP is set, so that the supervisor too is bound by it."
    return "\(deed), a page that is read-only: R/W (bit 1) is clear in \(entries { !$0.isWritable }).\(reason)"
  }

  var remedies: [Remedy] {
    [
      .guest(
        "map the page writable in every level, or find out why something writes there: constants, code, a copy-on-write page "
          + "without a handler", "Each level of the walk must allow a write.")
    ]
  }
}

extension ReadOnlyPage {
  static let manual = """
    A write to a page that may only be read: R/W is clear in at least one level. #PF with W (bit 1) and P. Programs are always bound by R/W; the
    kernel is while CR0.WP is set.

    ## Why

    - A write to constants or code: a self-relocating kernel whose segments are already read-only; a table in .rodata that the processor itself
      writes to (the accessed bit of descriptors in the GDT, the busy bit of a TSS).
    - Copy-on-write without a handler.
    - R/W set in the last level only.
    - CR0.WP was set where the boot code relied on its being clear.

    ## The cure

    Set R/W in each level, or leave the page alone.

    SDM vol. 3, 4.6.1.
    """
}
