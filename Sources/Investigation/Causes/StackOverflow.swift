import GuestImage
import X86

/// `stack.overflow`: the stack has grown beyond the memory that is mapped for it.
struct StackOverflow: PageFaultCause {
  static let id = "stack.overflow"
  static let title = "The stack has overflowed"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present, right below the stack"

  /// A push below the last mapped page of the stack: the page above it can be written.
  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.meetsNoPage, access.access.kind != .fetch,
      let instant = fault.instant, Self.isNearStackPointer(access.address, fault)
    else { return nil }
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
