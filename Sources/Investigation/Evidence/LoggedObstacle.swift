import QEMU
import X86

extension LoggedChain {
  /// What kept the first event from its handler, as far as the exception that came of it tells; nil where it does not.
  var obstacle: HandlerPath.Obstacle? {
    guard let second else { return nil }
    switch second.vector {
    case .segmentNotPresent where second.names(gateOf: first.vector):
      return obstacle(
        .gateNotPresent, "its gate is not present (\(second.code))", "give it a gate with P set (bit 47)")
    case .generalProtection where second.names(gateOf: first.vector): return refusedGate
    case .pageFault: return second.interrupt.cr2.flatMap(unreadableTable) ?? unwritableStack
    case .stackFault where second.interrupt.errorCode == 0: return stackNotCanonical
    case .invalidTSS: return taskState
    case .generalProtection, .segmentNotPresent:
      guard second.interrupt.errorCode & 2 == 0 else { return nil }
      if second.selector == nil, second.vector == .generalProtection { return withoutSelector }
      let name = second.selector.map { " \($0.rawValue.hexadecimal)" } ?? ", which is null,"
      return obstacle(
        .gateSelector, "its gate's code selector\(name) cannot be used (\(second.code))",
        "put the selector of a present code segment of the kernel into the gates, and keep that descriptor in the GDT",
        isDecided: second.selector != nil && state?.isLongModeActive == true)
    default: return nil
    }
  }

  private var state: ProcessorState? { first.state }

  /// Whether INT n asks for it.
  private var isSoftware: Bool { if case .software? = first.event { true } else { false } }

  private func obstacle(
    _ kind: HandlerObstacle, _ words: String, _ remedy: String, isDecided: Bool = true
  ) -> HandlerPath.Obstacle? {
    guard let second else { return nil }
    return HandlerPath.Obstacle(
      kind: kind, words: words, remedy: remedy, exception: second.vector, isDecided: isDecided && isDeliveryCertain)
  }

  /// #GP for the gate itself may be of its type, or of an empty entry, or for INT n of its DPL; the IDT's limit is looked at elsewhere.
  private var refusedGate: HandlerPath.Obstacle? {
    guard !isSoftware || first.interrupt.currentPrivilegeLevel == 0 else {
      return obstacle(
        .badGate, "its IDT entry is no gate, or has a DPL below 3 (\(second?.code ?? ""))",
        "give the vector a gate of type EH or FH with DPL 3")
    }
    return obstacle(
      .badGate, "its IDT entry is no gate: empty, or of another type (\(second?.code ?? ""))",
      "give the vector an interrupt or trap gate, types EH and FH, and a handler")
  }

  /// #GP with error code 0 may be of a gate whose selector is null, or of an address that is not canonical: of a table or, under TCG, of a stack.
  private var withoutSelector: HandlerPath.Obstacle? {
    guard let state, let second, state.isLongModeActive else { return nil }
    let width: Int64 = state.cr4.contains(.linearAddress57) ? 7 : 16
    func isCanonical(_ address: UInt64) -> Bool { Paging.isCanonical(LinearAddress(address), unusedBits: width) }
    guard isCanonical(state.idtr.base.rawValue) else {
      return obstacle(
        .idtNotMapped, "the IDT's base, \(state.idtr.base.rawValue.hexadecimal), is not canonical (\(second.code))",
        "load IDTR with the IDT's linear address")
    }
    if !isCanonical(state.tr.base) {
      return missingTSS
        ?? obstacle(
          .tssNotMapped,
          "the TSS, from which a stack is to be taken, is at \(state.tr.base.hexadecimal), which is not canonical (\(second.code))",
          "put bits 63 to 32 of the base into the second half of the TSS's descriptor, which takes two entries of the GDT",
          isDecided: state.currentPrivilegeLevel == 3)
    }
    if state.currentPrivilegeLevel == 0, !isCanonical(state.generalPurpose.rsp) { return stackNotCanonical }
    // At CPL 3 a stack of the TSS is taken, whose address the log does not show.
    guard state.currentPrivilegeLevel == 0 else { return nil }
    return obstacle(
      .gateSelector, "its gate's code selector, which is null, cannot be used (\(second.code))",
      "put the selector of a present code segment of the kernel into the gates, and keep that descriptor in the GDT",
      isDecided: false)
  }

  // MARK: Tables

  private func unreadableTable(at address: UInt64) -> HandlerPath.Obstacle? {
    guard let state, let second else { return nil }
    let place = address.hexadecimal
    if address &- state.idtr.base.rawValue <= UInt64(state.idtr.limit) {
      return obstacle(
        .idtNotMapped, "its gate at \(place) cannot be read (\(second.code))", "map the IDT in every address space")
    }
    if address &- state.gdtr.base.rawValue <= UInt64(state.gdtr.limit) {
      return obstacle(
        .gateSelector,
        "the descriptor of its gate's code segment, in the GDT at \(place), cannot be read, or not be marked as accessed (\(second.code))",
        "map the GDT in every address space")
    }
    guard address &- state.tr.base <= UInt64(state.tr.limit), isOfAnotherStack(address) else { return nil }
    return missingTSS
      ?? obstacle(
        .tssNotMapped, "the stack pointer in the TSS at \(place) cannot be read (\(second.code))",
        "map the TSS in every address space")
  }

  /// Whether an address in the TSS is one where a stack pointer is looked up: RSP0 to RSP2 and IST1 to IST7, in protected mode ESP0 to SS2 (SDM
  /// vol. 3, 8.2.1 and 8.7).
  private func isOfAnotherStack(_ address: UInt64) -> Bool {
    guard let state else { return false }
    return address &- state.tr.base < (state.isLongModeActive ? 0x5C : 0x1C)
  }

  // MARK: The stack

  /// TR is empty, and another stack was needed: at CPL 3, or else by an IST entry.
  private var missingTSS: HandlerPath.Obstacle? {
    guard let state, let second, state.tr.selector.isNull else { return nil }
    let what =
      state.currentPrivilegeLevel == 3
      ? "it comes at CPL 3 and needs a stack of the TSS" : "its gate needs a stack of the TSS"
    return obstacle(
      .tssMissing, "\(what), and TR was never loaded (selector 0): \(second.code)",
      "load TR (LTR) with a TSS of 104 bytes or more")
  }

  private var unwritableStack: HandlerPath.Obstacle? {
    guard let state, let second, let address = second.interrupt.cr2, state.mode != .real,
      PageFaultErrorCode(rawValue: second.interrupt.errorCode).contains(.write)
    else { return nil }
    let pointer = state.generalPurpose.rsp
    if state.currentPrivilegeLevel == 0, Self.isFrame(address, below: pointer) {
      return obstacle(
        .stackNotWritable,
        "its frame cannot be pushed on the stack: RSP is \(pointer.hexadecimal), and \(address.hexadecimal) cannot be written (\(second.code))",
        "keep RSP at the top of mapped, writable memory, and give #DF a stack of its own (IST)")
    }
    return otherStack("its frame cannot be pushed at \(address.hexadecimal) (\(second.code))")
  }

  /// A frame has at most 48 bytes, below RSP rounded down to 16.
  private static func isFrame(_ address: UInt64, below pointer: UInt64) -> Bool { pointer &- address &- 1 < 64 }

  /// What is wrong with a stack that is not the one at hand: of the TSS, by the CPL or by an IST entry.
  private func otherStack(_ words: String) -> HandlerPath.Obstacle? {
    guard let state else { return nil }
    if let missingTSS { return missingTSS }
    if state.currentPrivilegeLevel == 3 {
      // An IST entry would be looked up at CPL 3 too.
      return obstacle(
        .kernelStack, "\(words): it came at CPL 3, and the stack of the TSS for that, RSP0, is none",
        "put the top of a mapped, writable stack into RSP0 of the TSS", isDecided: !state.isLongModeActive)
    }
    guard state.isLongModeActive else { return nil }
    return obstacle(
      .interruptStack,
      "\(words), which is not on the stack at hand (RSP is \(state.generalPurpose.rsp.hexadecimal)): its gate names an IST entry that is no stack",
      "put the top of a mapped, writable stack into the IST entry of the TSS that the gate names")
  }

  /// #SS(0) is of a stack pointer that is not canonical (SDM vol. 3, 6.14.2).
  private var stackNotCanonical: HandlerPath.Obstacle? {
    guard let state, state.isLongModeActive, let second else { return nil }
    let width: Int64 = state.cr4.contains(.linearAddress57) ? 7 : 16
    let pointer = state.generalPurpose.rsp
    if state.currentPrivilegeLevel == 0, !Paging.isCanonical(LinearAddress(pointer), unusedBits: width) {
      return obstacle(
        .stackNotWritable,
        "its frame cannot be pushed on the stack: RSP is \(pointer.hexadecimal), which is not canonical (\(second.code))",
        "keep RSP at the top of mapped, writable memory")
    }
    return otherStack("the stack pointer for it is not canonical (\(second.code))")
  }

  /// #TS names TR's selector where the TSS is too short, and that of the stack segment where that is none (SDM vol. 3, 6.12.1).
  private var taskState: HandlerPath.Obstacle? {
    guard let state, let second else { return nil }
    if let missingTSS { return missingTSS }
    // Without another stack, and none is needed at CPL 0, only a switch to another task looks at a TSS (SDM vol. 3, 6.12).
    if !state.isLongModeActive, state.currentPrivilegeLevel == 0 {
      let name = second.selector.map { "the selector \($0.rawValue.hexadecimal)" } ?? "a null selector"
      return obstacle(
        .taskSwitch,
        "its gate is a task gate, and the switch to its task fails at \(name) (\(second.code)): that of the TSS, if it is too short, or of a segment or LDT that the new TSS names",
        "give the task gate's TSS a limit of 67H or more, and fill all of it")
    }
    guard second.selector?.rawValue == state.tr.selector.rawValue & 0xFFF8 else { return nil }
    return obstacle(
      .tssMissing,
      "it needs a stack of the TSS, which TR's limit, \(state.tr.limit.hexadecimal), leaves out (\(second.code))",
      "load TR (LTR) with a TSS of 104 bytes or more")
  }
}

extension LoggedDelivery {
  /// `#GP, error code 0x10`.
  fileprivate var code: String { "\(vector.name), error code \(interrupt.errorCode.hexadecimal)" }
}
