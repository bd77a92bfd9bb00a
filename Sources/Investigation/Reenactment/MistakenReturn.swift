import GuestImage
import X86

/// What a far return or IRET that is refused would find on the stack if it, or what pushed the frame, were written otherwise.
enum MistakenReturn {
  /// Words of 64 bits, where the instruction takes 32: without REX.W.
  case operandSize(instructionPointer: UInt64, selector: SegmentSelector)
  /// The same, where the stack is not at hand: the selector is the upper half of the first word.
  case operandSizeOfUnseenFrame
  /// IRET's five words, pushed in the opposite order.
  case reversed(instructionPointer: UInt64, selector: SegmentSelector)
  /// CS with an RPL below the DPL of its descriptor: a return to a program needs RPL 3.
  case requestedPrivilege(SegmentSelector)

  init?(_ fault: FirstFault) {
    guard let instruction = fault.instruction, let instant = fault.instant, instant.state.mode == .long64,
      case .selector(let refused, let violation) = fault.exception.reason
    else { return nil }
    let isInterruptReturn = instruction.mnemonic.hasPrefix("iret")
    guard isInterruptReturn || instruction.isFarBranch && instruction.mnemonic == "ret" else { return nil }
    let bytes = instant.bytes(
      at: LinearAddress(instant.state.generalPurpose.rsp), count: 40, for: PageAccess(.read, by: instant.privilege))
    guard bytes.count == 40 else {
      guard instruction.isReturnOf32Bits, refused.isNull else { return nil }
      self = .operandSizeOfUnseenFrame
      return
    }
    let words = (0..<5).map { UInt64(littleEndian: bytes[(8 * $0)..<(8 * $0 + 8)]) }
    if instruction.operandWidth == 32, let selector = instant.codeSelector(words[1], returningTo: words[0]) {
      self = .operandSize(instructionPointer: words[0], selector: selector)
    } else if isInterruptReturn, let selector = instant.codeSelector(words[3], returningTo: words[4]),
      words[2] & 2 != 0, words[2] & ~0x3F_7FD7 == 0
    {
      self = .reversed(instructionPointer: words[4], selector: selector)
    } else if case .privilege(let descriptor, _) = violation, descriptor.isCode,
      refused.requestedPrivilegeLevel < descriptor.attributes.descriptorPrivilegeLevel
    {
      self = .requestedPrivilege(
        SegmentSelector(rawValue: refused.rawValue | UInt16(descriptor.attributes.descriptorPrivilegeLevel)))
    } else {
      return nil
    }
  }

  /// What the stack shows, as sentences behind a summary.
  var words: String {
    switch self {
    case .operandSize(let pointer, let selector):
      " Taken as words of 64 bits, the stack has RIP \(pointer.hexadecimal) and CS \(selector.rawValue.hexadecimal), which is code: without REX.W the instruction takes 32 bits of each."
    case .operandSizeOfUnseenFrame:
      " In 64-bit mode, without REX.W, it takes 32 bits for RIP and 32 for CS, and what was pushed has 64: CS is the upper half of the first word."
    case .reversed(let pointer, let selector):
      " Read from the other end, the five words are a frame: RIP \(pointer.hexadecimal), CS \(selector.rawValue.hexadecimal). They were pushed in the opposite order."
    case .requestedPrivilege: ""
    }
  }

  var remedy: Remedy {
    switch self {
    case .operandSize, .operandSizeOfUnseenFrame:
      .guest(
        "use the form with REX.W: LRETQ or RETFQ, IRETQ",
        "In 64-bit mode far returns have operands of 32 bits by default.")
    case .reversed: .guest("push SS, RSP, RFLAGS, CS and RIP, in this order", "IRET pops RIP first.")
    case .requestedPrivilege(let selector):
      .guest(
        "use the selector \(selector.rawValue.hexadecimal) for CS, and for SS one with the same RPL",
        "A return to a program takes the new CPL from the RPL of CS, and DPL must be the same.")
    }
  }
}

extension Instant {
  /// `word` as the selector of 64-bit code, if it is one, and `pointer` leads to something mapped.
  fileprivate func codeSelector(_ word: UInt64, returningTo pointer: UInt64) -> SegmentSelector? {
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: word))
    guard word <= 0xFFFF, !selector.isNull, case .found(let descriptor) = descriptor(selector), descriptor.isCode,
      descriptor.attributes.contains(.long),
      case .physical = translate(LinearAddress(pointer), for: PageAccess(.read, by: .supervisor))
    else { return nil }
    return selector
  }
}
