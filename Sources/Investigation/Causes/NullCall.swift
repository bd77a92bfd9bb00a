import X86

/// `execution.null-call`: a call or jump through a null pointer.
struct NullCall: PageFaultCause, SingleCause {
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
    "RIP is \(place), where nothing is mapped: a call or jump through a null pointer, or a return to 0"
      + (fault.instant == nil ? ", or an entry to the kernel (SYSCALL, a gate) that has no address." : ".\(caller)")
  }

  /// Only the registers tell a call from an entry to the kernel whose address was never set.
  var isDecided: Bool { !access.steps.isEmpty && fault.instant != nil }

  /// What a call left on the stack.
  private var caller: String {
    if let address = fault.instant?.callerOnStack {
      return " The stack's top, \(address.hexadecimal), lies behind a CALL: it comes from there."
    }
    guard fault.instant?.hasReturned == true else { return "" }
    return
      " No CALL has left its return address on top of the stack, and the word below, which RET would have taken, is \(place): it was a return, by all appearances."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out why the function pointer is null, or the return address is gone: a table that was not filled, a stack that was "
          + "overwritten", "Nobody puts code at 0 in a kernel that maps no page there.")
    ]
  }
}

extension NullCall {
  static let manual = """
    RIP is 0, or near it, and nothing is mapped there: the guest called a function through a null pointer, jumped through one, or
    returned to an address of 0.

    ## How to recognise it

    RIP and CR2 are the same small number, and the error code shows an instruction fetch (bit 4) where NX or SMEP is on. After a call the
    address behind it is on top of the stack.

    ## Why

    A table of functions that was not filled (drivers, system calls, C++ or Rust vtables before relocation), a constructor that did not
    run, a weak symbol that nobody defines; a return address that was cleared with the stack.

    ## The cure

    Follow the address on top of the stack to the call. A position-independent kernel must apply its own relocations before it uses such
    tables.

    SDM vol. 3, 4.7.
    """
}
