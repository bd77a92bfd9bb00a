import GuestImage
import QEMU
import X86

/// An exception or interrupt of a log of `-d int`, with the processor that it found.
struct LoggedDelivery {
  var interrupt: InterruptLog
  /// The linear address of the interrupted instruction.
  var pointer: UInt64
  /// Whether TCG announced it as a device's (`Servicing hardware INT=0x24`).
  var isOfDevice: Bool
  /// The exception that was being delivered when it was raised, as the line in front of it tells (`check_exception old: 0xe new 0xd`); nil for
  /// none, and for a benign one, which TCG forgets (target/i386/tcg/excp_helper.c: check_exception, 7.2).
  var interrupted: ExceptionVector?
  /// Nil where the dump is not there, or not whole.
  var state: ProcessorState?
  var source: Source

  var registers: GeneralPurposeRegisters? { state?.generalPurpose }

  /// All of a log whose lines are whole; the last one's registers may be cut off, and it is left out then.
  static func all(in log: some Sequence<Sourced<QEMUMessage>>) -> [LoggedDelivery] {
    var deliveries: [LoggedDelivery] = []
    var announced: UInt8?
    var interrupted: ExceptionVector?
    for entry in log {
      switch entry.value {
      // Each stands right in front of its event. In real mode no event follows (target/i386/tcg/seg_helper.c: do_interrupt_all, 7.2).
      case .hardwareInterrupt(let vector, _): (announced, interrupted) = (vector, nil)
      case .exceptionCheck(let old, _): (announced, interrupted) = (nil, old)
      case .interrupt(let interrupt):
        defer { (announced, interrupted) = (nil, nil) }
        guard let pointer = interrupt.programCounter else { continue }
        deliveries.append(
          LoggedDelivery(
            interrupt: interrupt, pointer: pointer, isOfDevice: interrupt.vector.rawValue == announced,
            interrupted: interrupted, source: entry.source))
      case .registerDump(let dump):
        guard let last = deliveries.indices.last, deliveries[last].state == nil, let state = dump.state,
          deliveries[last].interrupt.instructionPointer ?? state.rip == state.rip
        else { continue }
        deliveries[last].state = state
      case .codeListing, .smmEntered, .smmLeft, .cpuReset: (announced, interrupted) = (nil, nil)
      default: continue
      }
    }
    let isCut = deliveries.last?.state == nil && deliveries.first?.state != nil
    return isCut ? deliveries.dropLast() : deliveries
  }
}

extension LoggedDelivery {
  var vector: ExceptionVector { interrupt.vector }

  /// What began it, where that was no exception.
  var event: InterruptEvent? {
    if isOfDevice || vector == .nonMaskableInterrupt { return .hardware(vector: vector.rawValue) }
    return interrupt.isSoftware == true ? .software(vector: vector.rawValue) : nil
  }

  /// Whether nothing was executed between `earlier` and this, as far as the registers of both tell.
  func isAtPlace(of earlier: LoggedDelivery) -> Bool {
    guard pointer == earlier.pointer, interrupt.stackPointer == earlier.interrupt.stackPointer else { return false }
    guard let registers, let others = earlier.registers else { return true }
    return registers == others
  }

  /// Whether its error code names the IDT's entry of `vector`: bit 1 set (SDM vol. 3, 6.13). TCG 7.2 counts in gates of 8 bytes in long mode
  /// too, two for each (measured: 82H for vector 8).
  func names(gateOf vector: ExceptionVector) -> Bool {
    let code = interrupt.errorCode
    guard [.generalProtection, .segmentNotPresent].contains(self.vector), code & 2 != 0 else { return false }
    return code >> 3 == UInt32(vector.rawValue) || code >> 4 == UInt32(vector.rawValue)
  }

  /// The selector that its error code holds; nil where it holds none, or an entry of the IDT.
  var selector: SegmentSelector? {
    guard [.generalProtection, .segmentNotPresent, .stackFault, .invalidTSS].contains(vector) else { return nil }
    let code = interrupt.errorCode
    return code & 2 == 0 && code & 0xFFFC != 0 && code <= 0xFFFF
      ? SegmentSelector(rawValue: UInt16(truncatingIfNeeded: code & 0xFFFC)) : nil
  }
}

extension LoggedDelivery {
  /// The words that its delivery pushes: RIP, CS, RFLAGS, an error code where there is one, and in long mode, or where the CPL changes, RSP and SS
  /// (SDM vol. 3, 6.12.1 and 6.14.2).
  private func frameWords(changesLevel: Bool, isLong: Bool) -> UInt64 {
    (isLong || changesLevel ? 5 : 3) + (vector.hasErrorCode && event == nil ? 1 : 0)
  }

  /// Where the handler finds RSP, if the frame goes on the stack at hand; nil where the registers are not known, or the CPL changes.
  var stackPointerInHandler: UInt64? {
    guard let state, state.currentPrivilegeLevel == 0, state.mode != .real else { return nil }
    let isLong = state.isLongModeActive
    let pointer = state.generalPurpose.rsp
    let count = frameWords(changesLevel: false, isLong: isLong)
    return isLong ? pointer & ~0xF &- 8 &* count : (pointer &- 4 &* count) & 0xFFFF_FFFF
  }

  /// Whether a processor in `later` is at the first instruction of this one's handler: no register but RIP, RSP and RFLAGS has changed, and the stack
  /// pointer is lower by the frame, or where another stack was taken, where a frame would leave it.
  func enters(_ later: ProcessorState) -> Bool {
    guard let state, later.currentPrivilegeLevel == 0, later.rip != state.rip else { return false }
    var registers = later.generalPurpose
    registers.rsp = state.generalPurpose.rsp
    guard registers == state.generalPurpose else { return false }
    if let stackPointerInHandler, later.generalPurpose.rsp == stackPointerInHandler { return true }
    guard later.isLongModeActive else { return false }
    // A call right behind an interrupt that was handled would leave RSP close by.
    let isOtherStack =
      state.currentPrivilegeLevel == 3 || later.generalPurpose.rsp &- state.generalPurpose.rsp &+ 0x1000 > 0x2000
    let size = 8 &* frameWords(changesLevel: true, isLong: true)
    return isOtherStack && (later.generalPurpose.rsp &+ size) & 0xF == 0
  }
}
