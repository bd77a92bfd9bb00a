import GuestImage
import X86

/// `stack.overflow`: the stack has grown beyond the memory that is mapped for it.
struct StackOverflow: PageFaultCause, SingleCause {
  static let id = "stack.overflow"
  static let title = "The stack has overflowed"
  static let refines = [StackNotMapped.id]

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present, right below the stack"
  /// Whether the page above was looked at; else the code tells that it was written.
  private let isSeen: Bool

  /// A push below the last mapped page of the stack: the page above it can be written.
  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.meetsNoPage, access.access.kind != .fetch,
      let instant = fault.instant, Self.isNearStackPointer(access.address, fault)
    else { return nil }
    if scene.memory == nil {
      guard StackUse(fault, in: scene)?.isProven(above: access.address) == true else { return nil }
      (self.fault, self.access, isSeen) = (fault, access, false)
      return
    }
    isSeen = true
    let above = LinearAddress((access.address.rawValue | 0xFFF) &+ 1)
    // The page above the last one is none.
    guard above.rawValue != 0, case .physical = instant.translate(above, for: PageAccess(.write, by: instant.privilege))
    else { return nil }
    (self.fault, self.access) = (fault, access)
  }

  /// Whether the access is a push, or one to the room that a function has just made on the stack.
  private static func isNearStackPointer(_ address: LinearAddress, _ fault: FirstFault) -> Bool {
    if fault.isStackAccess(address) { return true }
    guard let operand = fault.operand(at: address), let state = fault.state else { return false }
    let base = operand.memory?.base
    let isByStack = base == .general(number: 4, bits: 64) || base == .general(number: 5, bits: 64)
    return isByStack && (address.rawValue &- state.generalPurpose.rsp) < 0x1_0000
  }

  var summary: String {
    guard isSeen else {
      return
        "\(deed), below the stack: RSP is \((fault.state?.generalPurpose.rsp ?? 0).hexadecimal), and the code in front of it, as the guest's image has it, "
        + "has pushed to the page above. The stack is too small for what runs on it, or something recurses without end."
    }
    return
      "\(deed), below the stack: RSP is \((fault.state?.generalPurpose.rsp ?? 0).hexadecimal), the page above is mapped and writable, and "
      + "this one is not (a guard page, or the end). The stack is too small for what runs on it, or something recurses without end."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "give the stack more pages, or end the recursion: the return addresses on the stack show who calls whom",
        "A stack of its own for #DF and #PF (IST) lets the guest report this itself.")
    ]
  }
}

extension StackOverflow {
  static let manual = """
    A push, a call or a function's first store below the stack met a page that is not present, right below pages that are: the stack
    has grown beyond its end. Where there is no page to catch it, the stack runs into what lies below, which is worse.

    ## How to recognise it

    CR2 lies just below RSP's page; the page above is mapped and writable. The #PF cannot be delivered, for its frame would go to the same
    stack: #DF, and without a stack of its own (IST) for that, a triple fault.

    ## Why

    A stack of one page with functions that have large arrays; recursion without end, such as a handler of #PF that faults; interrupts that
    nest without bound.

    ## The cure

    Enlarge the stack, or find the recursion in the return addresses on it. Give #DF an IST stack, so that the guest can report this itself.

    SDM vol. 3, 6.14.5.
    """
}
