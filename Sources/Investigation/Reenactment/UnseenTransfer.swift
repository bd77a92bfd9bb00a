import GuestImage
import X86

/// Far transfers that a log tells of by their error code, where neither tables nor stack are at hand.
extension RaisedException {
  /// The #TS that was recorded at a far CALL to an inner level: that of the stack which the TSS should have for it.
  ///
  /// A task switch raises #TS, too. TCG has then emptied the cached segments already, and #TS for the TSS itself has the selector that is called
  /// (target/i386/tcg/seg_helper.c: switch_tss_ra, get_ss_esp_from_tss, helper_lcall_protected, 7.2).
  init?(innerStackOf recorded: RecordedException, by instruction: Instruction?, at instant: Instant) {
    let state = instant.state
    guard recorded.vector == .invalidTSS, let code = recorded.errorCode, code & 3 == 0, let instruction,
      instruction.isFarBranch, instruction.mnemonic == "call", instant.currentPrivilegeLevel > 0,
      ![.real, .virtual8086].contains(state.mode), !state.isLongModeActive,
      state.cs.attributes.contains(.present), state.cs.limit > 0,
      let called = InstructionChecks(of: instruction, at: instant).namedFarTarget?.selector,
      UInt32(called.rawValue & ~3) != code
    else { return nil }
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: code))
    let task = state.tr.selector
    let obstacle: HandlerPath.Obstacle
    if code == 0, !task.isNull {
      obstacle = .ofInnerStack(
        .kernelStack, "SS of that level in the TSS (TR's base is \(state.tr.base.hexadecimal)) is null (#TS)",
        remedy: "put the selector of the inner level's data segment into SS0, and a stack into ESP0, of the TSS")
    } else if task.rawValue & ~3 == selector.rawValue {
      obstacle = .ofInnerStack(
        .tssMissing,
        "TR (selector \(task.rawValue.hexadecimal), limit \(state.tr.limit.hexadecimal)) holds no TSS that has it (#TS)",
        remedy: "load TR (LTR) with a TSS of 104 bytes or more")
    } else {
      obstacle = .ofInnerStack(
        .kernelStack,
        "SS of that level in the TSS, \(selector.rawValue.hexadecimal), names no stack segment of that level (#TS)",
        remedy: "put the selector of the inner level's data segment into SS0 of the TSS")
    }
    self.init(.invalidTSS, code: code, .noInnerStack(obstacle))
  }

  /// The #GP(0) that was recorded at a far return of 64-bit code that takes words of 32 bits, behind a PUSH, which pushes 64: CS comes from the upper
  /// half of what was pushed last, and is null (SDM vol. 2, RET, PUSH).
  ///
  /// - Parameter last: The instruction that is executed before.
  init?(
    returnOf recorded: RecordedException, by instruction: Instruction?, behind last: Instruction?, at instant: Instant
  ) {
    guard recorded.vector == .generalProtection, recorded.errorCode == 0, let instruction, let last,
      instant.state.mode == .long64, instruction.isReturnOf32Bits, last.mnemonic == "push", last.operandWidth == 64,
      let pushed = last.operands.first(where: \.isExplicit),
      let value = InstructionChecks(of: last, at: instant).value(of: pushed)
    else { return nil }
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: value >> 32))
    guard selector.isNull else { return nil }
    self.init(.generalProtection, code: 0, .selector(selector, .isNull))
  }
}

extension Instruction {
  /// A far RET without REX.W.
  var isReturnOf32Bits: Bool { operandWidth == 32 && isFarBranch && mnemonic == "ret" }
}

extension HandlerPath.Obstacle {
  fileprivate static func ofInnerStack(_ kind: HandlerObstacle, _ words: String, remedy: String) -> Self {
    Self(kind: kind, words: words, remedy: remedy, exception: .invalidTSS, isDecided: false)
  }
}

extension Scene {
  /// The instruction in front of the one that a log's first exception is of, as a listing of the block has it; else the one that the image has there,
  /// counted from the symbol's start.
  func instructionListed(before address: LinearAddress, _ state: ProcessorState) -> Instruction? {
    if let fault = loggedFault, fault.programCounter == address.rawValue, let last = fault.instructionsBefore.last {
      return last
    }
    guard let image, let place = image.place(of: address.rawValue),
      let symbol = image.symbol(containing: place.virtual), symbol.offset > 0, symbol.offset <= Self.longestFunction
    else { return nil }
    let bytes = image.bytes(atVirtual: symbol.start, count: Int(symbol.offset))
    var last: Instruction?
    var offset = 0
    while offset < bytes.count {
      let start = address.rawValue &- symbol.offset &+ UInt64(offset)
      guard
        let instruction = try? Instruction.decode(Array(bytes[offset...].prefix(15)), at: start, mode: state.mode)
      else { return nil }
      last = instruction
      offset += instruction.length
    }
    return last
  }

  /// How much of a function is decoded.
  private static let longestFunction: UInt64 = 0x1000
}
