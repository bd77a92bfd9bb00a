import X86

/// `paging.not-present`: an access to data that is not mapped.
struct PageNotMapped: PageFaultCause, SingleCause {
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

extension PageNotMapped {
  static let manual = """
    The guest reads or writes an address that its page tables do not map: #PF, with the address in CR2 and P (bit 0) clear in the error code.

    ## How to recognise it

    `inquest walk CR2` shows at which level the walk ends. `inquest map` shows what is mapped around it.

    ## Why

    - A physical address used as a linear one (a device's BAR, a table of ACPI, a boot module) outside the part that is mapped.
    - A bad pointer.
    - Memory that a handler of #PF is to map on demand, before the handler is there.

    ## The cure

    Map the address, or find where it comes from: the operand's registers are shown.

    SDM vol. 3, 4.7.
    """
}
