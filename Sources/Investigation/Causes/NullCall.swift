import X86

/// `execution.null-call`: a call or jump through a null pointer.
struct NullCall: PageFaultCause {
  static let id = "execution.null-call"
  static let title = "A call through a null pointer"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present"

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.meetsNoPage, access.access.kind == .fetch,
      access.address.rawValue <= 0xFFF
    else { return nil }
    (self.fault, self.access) = (fault, access)
  }

  var summary: String {
    "RIP is \(place), where nothing is mapped: a call or jump through a null pointer, or a return to 0.\(caller)"
  }

  /// What a call left on the stack.
  private var caller: String {
    guard let instant = fault.instant, instant.state.mode == .long64 else { return "" }
    let pointer = LinearAddress(instant.state.generalPurpose.rsp)
    let bytes = instant.bytes(at: pointer, count: 8, for: PageAccess(.read, by: .supervisor))
    guard bytes.count == 8 else { return "" }
    let address = UInt64(littleEndian: bytes[...])
    guard case .physical = instant.translate(LinearAddress(address), for: PageAccess(.fetch, by: .supervisor)) else {
      return ""
    }
    return " The stack's top, \(address.hexadecimal), lies in code: if it was a call, it comes from there."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out why the function pointer is null, or the return address is gone: a table that was not filled, a stack that was "
          + "overwritten", "Nobody puts code at 0 in a kernel that maps no page there.")
    ]
  }
}
