import GuestImage
import X86

/// `paging.null-pointer`: an access through a pointer that is null, or to a member of what such a pointer points to.
struct NullPointer: PageFaultCause, SingleCause {
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
    "\(deed), in the page at 0, which is not mapped: \(emptyBase?.words ?? kind)."
  }

  /// A register alone that is not 0 holds no null pointer.
  private var kind: String {
    guard access.address.rawValue != 0, let memory = fault.operand(at: access.address)?.memory, memory.base != nil,
      memory.index == nil, memory.displacement == 0
    else { return "a null pointer, or the member of a structure at one" }
    return "a small number that was taken for a pointer, or the address of a member of a structure at a null pointer"
  }

  private var emptyBase: EmptySegmentBase? { EmptySegmentBase(fault, access.address) }

  var remedies: [Remedy] {
    if let emptyBase { return emptyBase.remedies }
    return [
      .guest(
        "find out why the pointer is null: whoever was to set it has not run, or failed",
        "The page at 0 is unmapped for this.")
    ]
  }
}

extension NullPointer {
  static let manual = """
    The guest reads or writes through a pointer that is null, or a member of a structure to which such a pointer points. The page at 0 is
    usually left unmapped to catch that: #PF with CR2 below 4096.

    ## How to recognise it

    CR2 is small; the base register of the operand is 0, and CR2 is the member's offset.

    ## Why

    What was to set the pointer has not run or failed: an allocation, a look-up in a table (ACPI, the device tree, a boot module) that does not
    exist on this machine, a per-CPU base (GS) that is not set.

    ## The cure

    Check the pointer where it is made.

    SDM vol. 3, 4.7.
    """
}
