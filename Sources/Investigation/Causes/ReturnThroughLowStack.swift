import GuestImage
import X86

/// `segment.bad-code-selector`, `segment.bad-selector`: a far return or IRET of 32 bits in 64-bit mode as TCG has it, which takes its words from the address
/// in the lower half of RSP.
///
/// TCG cuts the stack pointer down to the width of SS, 32 bits (target/i386/tcg/seg_helper.c: helper_ret_protected, POPL, SEG_ADDL; measured with 7.2). So a
/// kernel in the upper half sees a page fault at an address that it never used, where a processor refuses the selector.
struct ReturnThroughLowStack: CauseOfDeath {
  static let manuals: [ManualPage] = []

  private let fault: FirstFault
  private let access: FailedAccess
  private let stackPointer: UInt64

  init?(_ fault: FirstFault, in scene: Scene) {
    guard scene.walker == .tcg, fault.death == nil, let state = fault.state, state.mode == .long64,
      let access = fault.exception.access, access.access.kind == .read,
      case let pointer = state.generalPurpose.rsp, pointer >> 32 != 0,
      access.address.rawValue == pointer & 0xFFFF_FFFF
    else { return nil }
    if let instruction = fault.instruction {
      guard instruction.operandWidth == 32, instruction.isFarReturn else { return nil }
    }
    (self.fault, self.access, stackPointer) = (fault, access, pointer)
  }

  private var isInterruptReturn: Bool { fault.instruction?.mnemonic.hasPrefix("iret") == true }
  var id: String { isInterruptReturn ? BadSelector.id : BadCodeSelector.id }
  var title: String { isInterruptReturn ? BadSelector.title : BadCodeSelector.title }
  /// Code with addresses of 32 bits may read there as well.
  var isDecided: Bool { fault.instruction != nil }

  var summary: String {
    let deed =
      fault.instruction == nil
      ? "The instruction reads \(access.address.rawValue.hexadecimal), the lower half of RSP (\(stackPointer.hexadecimal)). So does LRET or IRET without REX.W with QEMU's TCG: it"
      : "\(fault.instructionName) has no REX.W: it"
    let place =
      fault.instruction == nil
      ? "" : ", at \(access.address.rawValue.hexadecimal) for an RSP of \(stackPointer.hexadecimal)"
    return
      "\(deed) takes 32 bits for RIP and 32 for CS where 64 were pushed for each, and TCG takes them from the lower half of RSP\(place), which is not mapped. "
      + "A processor, and KVM, reads at RSP and refuses the selector (#GP): CS is then the upper half of RIP."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "use the form with REX.W: LRETQ or RETFQ, IRETQ",
        "In 64-bit mode far returns have operands of 32 bits by default.")
    ]
  }
}

extension Instruction {
  /// A far RET, or IRET.
  fileprivate var isFarReturn: Bool { mnemonic.hasPrefix("iret") || isFarBranch && mnemonic == "ret" }
}
