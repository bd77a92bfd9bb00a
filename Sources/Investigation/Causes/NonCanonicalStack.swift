import X86

/// `stack.non-canonical`: the stack pointer is no address at all.
struct NonCanonicalStack: CauseOfDeath, SingleCause {
  static let id = "stack.non-canonical"
  static let title = "The stack pointer is not canonical"

  private let fault: FirstFault
  private let address: LinearAddress

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .notCanonical(let address) = fault.exception.reason, fault.isStackAccess(address) else { return nil }
    (self.fault, self.address) = (fault, address)
  }

  var summary: String {
    "\(fault.instructionName) goes to the stack at \(address.rawValue.hexadecimal), which is not canonical (RSP is "
      + "\((fault.state?.generalPurpose.rsp ?? 0).hexadecimal)): \(fault.exception.vector.name), and no page table is looked at."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out what put the value into RSP: a stack pointer read from memory that was never set, a context switch, a frame of another width",
        "The stack grows down from the top of mapped, writable memory.")
    ]
  }

  static let manual = """
    RSP, or an address next to it, has upper bits that are neither all 0 nor all 1: #SS with error code 0 at the next push or pop (QEMU's TCG 7.2
    raises #GP). An exception then has no stack for its frame either, unless it has one of its own (IST).

    ## Why

    RSP was loaded from memory that was overwritten or never set: a context switch to a thread without a stack, a 32-bit value that was shifted, an
    address one past the end of the lower half.

    ## The cure

    A valid stack before the first push; IST stacks for #DF and NMI.

    SDM vol. 1, 3.3.7.1; vol. 3, 6.15 "Interrupt 12".
    """
}
