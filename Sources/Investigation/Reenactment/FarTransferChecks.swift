import GuestImage
import X86

extension InstructionChecks {
  /// Far JMP, CALL, RET and IRET in protected and long mode.
  mutating func checkFarTransfer() {
    switch instruction.mnemonic {
    case "iret", "iretd", "iretq": checkInterruptReturn()
    case "ret" where instruction.isFarBranch: checkReturn(hasFlags: false)
    case "jmp" where instruction.isFarBranch, "call" where instruction.isFarBranch:
      if let target = farTarget { checkTarget(target.selector, offset: target.offset) }
    default: break
    }
  }

  /// Where a far JMP or CALL leads.
  var farTarget: (selector: SegmentSelector, offset: UInt64)? {
    guard let operand = instruction.operands.first(where: \.isExplicit) else { return nil }
    if case .farPointer(let selector, let offset) = operand.value {
      return (SegmentSelector(rawValue: selector), UInt64(offset))
    }
    guard let address = instruction.linearAddress(of: operand, in: state) else { return nil }
    let width = instruction.operandWidth / 8
    let bytes = instant.bytes(at: address, count: width + 2, for: PageAccess(.read, by: instant.privilege))
    guard bytes.count == width + 2 else { return nil }
    return (
      SegmentSelector(rawValue: UInt16(littleEndian: bytes[width...])), UInt64(littleEndian: bytes[..<width])
    )
  }

  // MARK: JMP and CALL

  /// To a code segment, through a call gate, or to a task (SDM vol. 2, JMP and CALL).
  private mutating func checkTarget(_ selector: SegmentSelector, offset: UInt64) {
    guard !selector.isNull else { return refuse(selector, .isNull) }
    guard let descriptor = descriptor(selector) else { return }
    guard !descriptor.isCode else {
      checkCode(selector, descriptor, offset: offset) { level, requested, granted, isConforming in
        isConforming ? granted <= level : requested <= level && granted == level
      }
      return checkCallPush(width: instruction.operandWidth / 8)
    }
    guard !descriptor.attributes.contains(.codeOrData) else { return refuse(selector, .wrongType(descriptor)) }
    switch (descriptor.attributes.type, state.isLongModeActive) {
    case (4, false), (12, _): checkCallGate(selector, descriptor)
    case (1, false), (9, false), (3, false), (11, false), (5, false): checkTaskSwitch(to: selector, descriptor)
    default: refuse(selector, .wrongType(descriptor))
    }
  }

  /// A call gate (SDM vol. 3, 5.8.3 and 5.8.4); in long mode it has 16 bytes and leads to 64-bit code.
  private mutating func checkCallGate(_ selector: SegmentSelector, _ gate: SegmentDescriptor) {
    let level = instant.currentPrivilegeLevel
    guard max(level, selector.requestedPrivilegeLevel) <= gate.attributes.descriptorPrivilegeLevel else {
      return refuse(selector, .privilege(gate, level: level))
    }
    guard gate.attributes.contains(.present) else { return refuse(selector, .notPresent(gate)) }
    let target = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: gate.low >> 16))
    guard !target.isNull else { return refuse(target, .isNull) }
    guard let descriptor = descriptor(target) else { return }
    guard descriptor.isCode else { return refuse(target, .wrongType(descriptor)) }
    let granted = descriptor.attributes.descriptorPrivilegeLevel
    let isConforming = descriptor.attributes.contains(.expandDownOrConforming)
    guard granted == level || granted < level && (isConforming || instruction.mnemonic == "call") else {
      return refuse(target, .privilege(descriptor, level: level))
    }
    if state.isLongModeActive, !descriptor.attributes.contains(.long) || descriptor.attributes.contains(.big) {
      return refuse(target, .wrongType(descriptor))
    }
    guard descriptor.attributes.contains(.present) else { return refuse(target, .notPresent(descriptor)) }
    if granted < level, !isConforming {
      checkStack(of: gate, level: granted)
    } else {
      checkCallPush(width: state.isLongModeActive ? 8 : gate.attributes.type == 12 ? 4 : 2)
    }
    guard exceptions.last?.isCertain != true else { return }
    let offset = gate.low & 0xFFFF | (gate.attributes.type == 12 ? (gate.low >> 48) << 16 : 0)
    if state.isLongModeActive { return checkLongOffset(of: selector, lower: offset) }
    if offset > UInt64(descriptor.limit) { refuseOffset(target, descriptor, offset) }
  }

  /// CS and EIP on the stack at hand, of a far CALL (SDM vol. 2, CALL).
  private mutating func checkCallPush(width: Int) {
    guard instruction.mnemonic == "call", exceptions.last?.isCertain != true else { return }
    let base = state.mode == .long64 ? 0 : state.ss.base
    let mask = InstructionChecks.mask(instruction.stackWidth)
    for depth in [UInt64(width), 2 * UInt64(width)] {
      let offset = (state.generalPurpose.rsp &- depth) & mask
      let access = PageAccess(.write, by: instant.privilege)
      switch instant.translate(LinearAddress(base &+ offset), for: access, usesStackSegment: true) {
      case .physical: continue
      case .fails(let exception): return raise(exception)
      case .unknown(let reason): return doubt(reason)
      }
    }
  }

  /// SS, ESP, the parameters that the gate counts (bits 32 to 36), CS and EIP; no parameters in long mode.
  private mutating func checkStack(of gate: SegmentDescriptor, level: Int) {
    let parameters = state.isLongModeActive ? 0 : Int(gate.low >> 32 & 0x1F)
    let width = state.isLongModeActive ? 8 : gate.attributes.type == 12 ? 4 : 2
    switch HandlerPath.stackOfCallGate(toLevel: level, pushing: 4 + parameters, width: width, at: instant) {
    case .usable: break
    case .unknown(let reason): doubt(reason)
    case .refused(let obstacle): raise(RaisedException(obstacle.exception, .noInnerStack(obstacle)))
    }
  }

  /// The upper half of the offset is in the second 8 bytes of a gate of long mode (SDM vol. 3, 5.8.3.1).
  private mutating func checkLongOffset(of selector: SegmentSelector, lower: UInt64) {
    let table = DescriptorTable(base: state.gdtr.base, limit: UInt32(state.gdtr.limit))
    let place = LinearAddress(table.address(of: selector).rawValue &+ 8)
    let bytes = instant.bytes(at: place, count: 4, for: instant.implicitRead)
    guard bytes.count == 4, !selector.isLocal, let paging = instant.paging else {
      return doubt("the offset of the call gate is not known")
    }
    let offset = LinearAddress(UInt64(littleEndian: bytes[...]) << 32 | lower)
    if !paging.isCanonical(offset) { raise(.generalProtection(.notCanonical(offset))) }
  }

  /// JMP and CALL to a TSS, or through a task gate.
  private mutating func checkTaskSwitch(to selector: SegmentSelector, _ descriptor: SegmentDescriptor) {
    let level = instant.currentPrivilegeLevel
    guard max(level, selector.requestedPrivilegeLevel) <= descriptor.attributes.descriptorPrivilegeLevel else {
      return refuse(selector, .privilege(descriptor, level: level))
    }
    guard descriptor.attributes.type == 5 else { return checkTask(selector) }
    guard descriptor.attributes.contains(.present) else { return refuse(selector, .notPresent(descriptor)) }
    checkTask(SegmentSelector(rawValue: UInt16(truncatingIfNeeded: descriptor.low >> 16)))
  }

  private mutating func checkTask(_ selector: SegmentSelector, isReturn: Bool = false) {
    switch TaskSwitch(to: selector, isReturn: isReturn, at: instant) {
    case .completed: break
    case .unknown(let reason): doubt(reason)
    case .refused(let refusal):
      raise(RaisedException(refusal.exception, code: refusal.errorCode, .taskSwitch(refusal)))
    }
  }

  // MARK: Code segments

  /// - Parameter isPrivileged: The rule of privilege: of CPL, RPL, DPL, and whether the segment is conforming.
  private mutating func checkCode(
    _ selector: SegmentSelector, _ descriptor: SegmentDescriptor, offset: UInt64,
    _ isPrivileged: (_ level: Int, _ requested: Int, _ granted: Int, _ isConforming: Bool) -> Bool
  ) {
    let attributes = descriptor.attributes
    let level = instant.currentPrivilegeLevel
    guard
      isPrivileged(
        level, selector.requestedPrivilegeLevel, attributes.descriptorPrivilegeLevel,
        attributes.contains(.expandDownOrConforming))
    else { return refuse(selector, .privilege(descriptor, level: level)) }
    if !attributes.contains(.present) { return refuse(selector, .notPresent(descriptor)) }
    let isLong = state.isLongModeActive && attributes.contains(.long)
    if isLong, attributes.contains(.big), instant.executor != .tcg {
      return refuse(selector, .bothLongAndBig(descriptor))
    }
    if isLong {
      if let paging = instant.paging, !paging.isCanonical(LinearAddress(offset)) {
        raise(.generalProtection(.notCanonical(LinearAddress(offset))))
      }
    } else if offset > UInt64(descriptor.limit) {
      refuseOffset(selector, descriptor, offset)
    }
  }

  private mutating func refuseOffset(_ selector: SegmentSelector, _ descriptor: SegmentDescriptor, _ offset: UInt64) {
    raise(.generalProtection(.selector(selector, .beyondLimit(descriptor, offset: offset))))
  }

  // MARK: RET and IRET

  private mutating func checkInterruptReturn() {
    guard state.rflags.contains(.nestedTask) else { return checkReturn(hasFlags: true) }
    // SDM vol. 2, IRET: in long mode #GP; in protected mode back to the task that the TSS in TR names.
    guard !state.isLongModeActive else { return raise(.generalProtection(.nestedTaskInLongMode)) }
    let link = instant.bytes(at: LinearAddress(state.tr.base), count: 2, for: instant.implicitRead)
    guard link.count == 2 else { return doubt("the link to the task before, in the TSS, is not known") }
    checkTask(SegmentSelector(rawValue: UInt16(littleEndian: link[...])), isReturn: true)
  }

  /// The frame on the stack, from RIP up.
  private mutating func checkReturn(hasFlags: Bool) {
    let words = frame(of: 9)
    guard let offset = words[0], let code = words[1] else { return doubt("the frame on the stack is not known") }
    if hasFlags, !state.isLongModeActive, instruction.operandWidth == 32, instant.currentPrivilegeLevel == 0 {
      guard let flags = words[2] else { return doubt("the frame on the stack is not known") }
      if RFLAGS(rawValue: flags).contains(.virtual8086Mode) { return checkReturnToVirtual8086(words, offset) }
    }
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: code))
    guard !selector.isNull else { return refuse(selector, .isNull) }
    guard let descriptor = descriptor(selector) else { return }
    guard descriptor.isCode else { return refuse(selector, .wrongType(descriptor)) }
    checkCode(selector, descriptor, offset: offset) { level, requested, granted, isConforming in
      requested >= level && (isConforming ? granted <= requested : granted == requested)
    }
    guard exceptions.last?.isCertain != true else { return }
    // IRET in 64-bit mode always takes SS:RSP; else only a return to another level does.
    let isOuter = selector.requestedPrivilegeLevel > instant.currentPrivilegeLevel
    guard isOuter || hasFlags && state.mode == .long64 else { return }
    checkReturnStack(words, hasFlags, selector.requestedPrivilegeLevel, isLong: descriptor.attributes.contains(.long))
  }

  /// RET n takes SS:RSP above the parameters that it drops (SDM vol. 2, RET).
  private mutating func checkReturnStack(_ words: [UInt64?], _ hasFlags: Bool, _ level: Int, isLong: Bool) {
    let dropped = hasFlags ? 0 : instruction.operands.first(where: \.isExplicit).flatMap(value) ?? 0
    let stack = dropped == 0 ? words[hasFlags ? 4 : 3] : frame(of: 4, dropping: dropped)[3]
    guard let stack else { return doubt("the frame on the stack is not known") }
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: stack))
    // A return to 64-bit code below CPL 3 may have no SS (SDM vol. 2, IRET).
    if selector.isNull, state.isLongModeActive, isLong, level < 3 { return }
    apply(selector.isNull ? .refused(.isNull) : instant.judge(selector, for: .ss, atLevel: level), selector, .ss)
  }

  /// EFLAGS.VM in the frame: the segments are real mode's, and nothing but IP is checked (SDM vol. 2, IRET,
  /// RETURN-TO-VIRTUAL-8086-MODE).
  private mutating func checkReturnToVirtual8086(_ words: [UInt64?], _ offset: UInt64) {
    guard words.allSatisfy({ $0 != nil }) else { return doubt("the frame on the stack is not known") }
    guard offset > 0xFFFF, instant.executor != .tcg else { return }
    raise(.generalProtection(.segment(.cs, .beyondLimit(offset: offset, limit: 0xFFFF))))
  }

  /// The selector that a far return or IRET takes for CS; nil where the stack is not known.
  var returnedCodeSelector: SegmentSelector? {
    frame(of: 2)[1].map { SegmentSelector(rawValue: UInt16(truncatingIfNeeded: $0)) }
  }

  /// `count` words of the stack, each as wide as the instruction's operands; nil for those that cannot be had.
  ///
  /// - Parameter dropped: How many bytes lie between the second and the third.
  private func frame(of count: Int, dropping dropped: UInt64 = 0) -> [UInt64?] {
    let width = instruction.operandWidth / 8
    let base = state.mode == .long64 ? 0 : state.ss.base
    return (0..<count).map { index in
      let pointer =
        (state.generalPurpose.rsp &+ UInt64(index * width) &+ (index < 2 ? 0 : dropped))
        & InstructionChecks.mask(instruction.stackWidth)
      let bytes = instant.bytes(
        at: LinearAddress(base &+ pointer), count: width, for: PageAccess(.read, by: instant.privilege))
      return bytes.count == width ? UInt64(littleEndian: bytes[...]) : nil
    }
  }
}
