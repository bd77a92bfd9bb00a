import X86

/// `stack.not-mapped`: the stack pointer points to where nothing is mapped.
struct StackNotMapped: PageFaultCause, SingleCause {
  static let id = "stack.not-mapped"
  static let title = "The stack is not mapped"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.meetsNoPage,
      fault.isStackAccess(access.address) || fault.isRelativeToStackPointer(access.address)
        || fault.looksLikePush(access)
    else { return nil }
    (self.fault, self.access) = (fault, access)
  }

  private var pointer: UInt64 { fault.state?.generalPurpose.rsp ?? 0 }

  var summary: String {
    let isUnset = pointer < 0x1000 || pointer > .max - 0xFFF
    let why =
      isUnset
      ? " It looks as if it had never been set, or as if the stack had grown down past address 0."
      : access.steps.isEmpty && pointer & 0xFFF == 0
        ? " Whether the page above is mapped, so that the stack has outgrown its memory, nothing here shows." : ""
    return "\(deed) on the stack, and that is not mapped: RSP is \(pointer.hexadecimal).\(why)"
  }

  var remedies: [Remedy] {
    [
      .guest(
        "point RSP at the top of mapped, writable memory before the first push or call",
        "The stack grows down from there.")
    ]
  }
}

extension StackNotMapped {
  static let manual = """
    The instruction pushes or pops, or uses a variable right above RSP, and RSP points to where nothing is mapped. Where memory is at hand, nothing
    is mapped right above either; a log alone does not tell that from a stack that has overflowed (stack.overflow).

    ## How to recognise it

    RSP is 0, or very small, or close to 2^64: it was never set, and the first push wraps around. Or it holds a physical address after the
    identity map was dropped, or an address of the loader's stack.

    ## The cure

    Load RSP with the top of mapped, writable memory before the first push or call, also on each further processor.

    SDM vol. 1, 6.2.
    """
}
