import GuestImage
import X86

/// `interrupt.error-code-not-popped`: IRET with an error code on top of the stack, or with a frame from which one too many
/// was popped.
struct BadReturnFrame: CauseOfDeath, SingleCause {
  static let id = "interrupt.error-code-not-popped"
  static let title = "IRET does not find the frame where it lies"

  private let fault: FirstFault
  private let frame: ReturnFrame
  /// The event whose frame it is, by a log; nil where the stack tells.
  private let delivered: LoggedDelivery?
  /// Whether the frame lies higher: something is left on the stack.
  private let isAbove: Bool

  init?(_ fault: FirstFault, in scene: Scene) {
    if scene.memory == nil, let before = fault.before,
      let (frame, isAbove) = ReturnFrame.misplaced(of: before, in: fault)
    {
      (self.fault, self.frame, self.isAbove, delivered) = (fault, frame, isAbove, before)
      return
    }
    guard let instruction = fault.instruction, instruction.mnemonic.hasPrefix("iret"), let instant = fault.instant,
      fault.exception.access == nil
    else { return nil }
    let width = instruction.operandWidth / 8
    let candidates = [true, false].compactMap { isAbove -> (ReturnFrame, Bool)? in
      let shift = isAbove ? UInt64(width) : 0 &- UInt64(width)
      return ReturnFrame(at: instant.state.generalPurpose.rsp &+ shift, width: width, in: instant).map { ($0, isAbove) }
    }
    guard candidates.count == 1, let (frame, isAbove) = candidates.first else { return nil }
    self.fault = fault
    self.frame = frame
    self.isAbove = isAbove
    delivered = nil
  }

  private var pointer: String { (fault.state?.generalPurpose.rsp ?? 0).hexadecimal }

  var summary: String {
    let place =
      "RIP \(frame.instructionPointer.hexadecimal), CS \(frame.codeSelector.rawValue.hexadecimal), RFLAGS "
      + frame.flags.rawValue.hexadecimal
    guard isAbove else {
      return
        "\(fault.instructionName) takes its frame from \(pointer), one word too high: the frame (\(place)) begins below. The handler popped "
        + "an error code that was not there: this interrupt or exception has none, as a hardware interrupt on the vector of #DF, 8, if the PIC "
        + "was not remapped."
    }
    return
      "\(fault.instructionName) takes its frame from \(pointer), one word too low: the frame (\(place)) begins above. The handler did not "
      + "remove the error code, which #DF, #TS, #NP, #SS, #GP, #PF and #AC push."
  }

  /// How the frame came to be misplaced is not recorded.
  /// A log shows where the words lie, and not that it was IRET that took them: RETF would have, too.
  var isDecided: Bool { delivered == nil || fault.instruction != nil }

  var evidence: [Evidence] {
    guard let delivered else { return [] }
    let (register, place) = isAbove ? ("RIP", "lies") : ("CS", "would lie")
    return [
      Evidence(
        "\(delivered.vector.name) was delivered at \(delivered.pointer.hexadecimal), and RSP at the fault shows where its frame \(place): the selector in the error code is its saved \(isAbove ? register : "RFLAGS")",
        delivered.source)
    ]
  }

  var remedies: [Remedy] {
    isAbove
      ? [
        .guest(
          "add 8 to RSP (4 outside 64-bit mode) before IRET in the handlers of exceptions with an error code",
          "IRET does not remove it.")
      ]
      : [
        .guest(
          "remap the PIC to vectors from 20H on, and pop an error code only where one is pushed",
          "Interrupts 0 to 7 of the PIC arrive on vectors 8 to 15 until it is set up anew.")
      ]
  }
}

/// What an interrupt's delivery pushed, as far as it looks like that: a code segment of the GDT, and RFLAGS with the bit that is
/// always 1.
struct ReturnFrame {
  var instructionPointer: UInt64
  var codeSelector: SegmentSelector
  var flags: RFLAGS

  /// Nil where no such frame lies at `pointer`.
  init?(at pointer: UInt64, width: Int, in instant: Instant) {
    let base = instant.state.mode == .long64 ? 0 : instant.state.ss.base
    let bytes = instant.bytes(
      at: LinearAddress(base &+ pointer), count: 3 * width, for: PageAccess(.read, by: .supervisor))
    guard bytes.count == 3 * width else { return nil }
    let words = (0..<3).map { UInt64(littleEndian: bytes[($0 * width)..<(($0 + 1) * width)]) }
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: words[1]))
    guard words[1] <= 0xFFFF, !selector.isNull, words[2] & 2 != 0, words[2] & ~0x3F_7FD7 == 0,
      case .found(let descriptor) = instant.descriptor(selector), descriptor.isCode,
      case .physical = instant.translate(LinearAddress(words[0]), for: PageAccess(.read, by: .supervisor))
    else { return nil }
    (instructionPointer, codeSelector, flags) = (words[0], selector, RFLAGS(rawValue: words[2]))
  }
}

extension ReturnFrame {
  /// The frame that a log shows an event to have pushed, if the fault is of an IRET that took it one word too low (true) or too high: RSP is there,
  /// and the error code is the selector that lies in CS's place, RIP or RFLAGS.
  fileprivate static func misplaced(of event: LoggedDelivery, in fault: FirstFault) -> (ReturnFrame, isAbove: Bool)? {
    guard fault.exception.vector == .generalProtection, let code = fault.exception.errorCode, code != 0,
      fault.instruction?.mnemonic.hasPrefix("iret") ?? true, let now = fault.state?.generalPurpose.rsp,
      let state = event.state, let top = event.stackPointerInHandler
    else { return nil }
    let hasErrorCode = event.vector.hasErrorCode && event.event == nil
    let taken = UInt64(code & 0xFFFC)
    let frame = ReturnFrame(instructionPointer: state.rip, codeSelector: state.cs.selector, flags: state.rflags)
    let width: UInt64 = state.isLongModeActive ? 8 : 4
    if hasErrorCode, now == top, taken == state.rip & 0xFFFC { return (frame, true) }
    if !hasErrorCode, now == top &+ width, taken == state.rflags.rawValue & 0xFFFC { return (frame, false) }
    return nil
  }

  private init(instructionPointer: UInt64, codeSelector: SegmentSelector, flags: RFLAGS) {
    (self.instructionPointer, self.codeSelector, self.flags) = (instructionPointer, codeSelector, flags)
  }
}

extension BadReturnFrame {
  static let manual = """
    IRET did not find the frame where it lies, but a word beside it. What lies one word above or below RSP is a whole frame: RIP, a code
    selector of the GDT, RFLAGS.

    ## Why

    - **An error code was not removed.** #DF, #TS, #NP, #SS, #GP, #PF, #AC and #CP push one, and IRET does not pop it. RIP is then taken
      from the error code.
    - **One too many was popped.** A handler for exceptions with an error code got something that has none: a hardware interrupt on vector 8, if
      the PIC still delivers its lines 0 to 7 on vectors 8 to 15, as firmware sets it up. The timer's first tick looks like a double fault.

    ## The cure

    Add 8 to RSP (4 outside 64-bit mode) before IRET in handlers of exceptions with an error code. Remap the PIC to vectors from 20H on, or mask it.

    SDM vol. 3, 6.13 and 6.14; 8259A data sheet, ICW2.
    """
}
