import GuestImage
import X86

extension InstructionChecks {
  /// Instructions that load a segment register, LDTR or TR from a descriptor (SDM vol. 2, MOV, LDS, POP, LLDT, LTR).
  mutating func checkSelectors() {
    guard state.mode != .real, state.mode != .virtual8086 else { return }
    let explicit = instruction.operands.filter(\.isExplicit)
    switch instruction.mnemonic {
    case "mov", "pop":
      guard case .register(.segment(let register))? = explicit.first?.value, let source = selectorSource(explicit),
        let value = value(of: source)
      else { return }
      let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: value))
      apply(instant.judge(selector, for: register, atLevel: instant.currentPrivilegeLevel), selector, register)
    case "lldt": operandSelector(explicit).map { checkSystem($0, types: [2]) }
    case "ltr": operandSelector(explicit).map { checkSystem($0, types: state.isLongModeActive ? [9] : [1, 9]) }
    default: checkFarTransfer()
    }
  }

  private func selectorSource(_ explicit: [Operand]) -> Operand? {
    if instruction.mnemonic == "mov" { return explicit.count == 2 ? explicit[1] : nil }
    return instruction.memoryOperands.first
  }

  private func operandSelector(_ explicit: [Operand]) -> SegmentSelector? {
    explicit.first.flatMap(value).map { SegmentSelector(rawValue: UInt16(truncatingIfNeeded: $0)) }
  }

  private mutating func checkSystem(_ selector: SegmentSelector, types: [UInt8]) {
    guard !selector.isNull else {
      if instruction.mnemonic == "ltr" { refuse(selector, .isNull) }
      return
    }
    apply(instant.judgeSystem(selector, types: types), selector, nil)
  }

  // MARK: Descriptors

  /// The descriptor that `selector` names, or nothing where it raises an exception or is not known.
  mutating func descriptor(_ selector: SegmentSelector) -> SegmentDescriptor? {
    let judgement = instant.judge(selector) { _ in nil }
    apply(judgement, selector, nil)
    if case .loadable(let descriptor) = judgement { return descriptor }
    return nil
  }

  /// Raises what a judgement asks for.
  mutating func apply(_ judgement: SelectorJudgement, _ selector: SegmentSelector, _ register: SegmentRegister?) {
    switch judgement {
    case .loadable: break
    case .refused(let violation): refuse(selector, violation, register)
    case .unknown(let reason): doubt(reason)
    }
  }

  mutating func refuse(
    _ selector: SegmentSelector, _ violation: SelectorViolation, _ register: SegmentRegister? = nil
  ) {
    if case .notMapped(let access) = violation { return raise(.pageFault(access)) }
    let code = violation == .isNull ? 0 : UInt32(selector.rawValue & ~3)
    raise(RaisedException(violation.exception(for: register), code: code, .selector(selector, violation)))
  }
}

extension RaisedException {
  /// The exception that was recorded, if its error code names a selector whose descriptor nothing shows. Outside of a delivery only an instruction
  /// that loads a selector has such a code (SDM vol. 3, 6.13); one with an immediate selector, or with that of a register, can only be refused the
  /// one that it names.
  ///
  /// - Parameter instruction: Nil where its bytes are not known.
  init?(selectorOf recorded: RecordedException, by instruction: Instruction?, at instant: Instant) {
    guard let code = recorded.errorCode, code & 3 == 0, code != 0, code <= 0xFFFF,
      [.generalProtection, .segmentNotPresent, .stackFault].contains(recorded.vector),
      instant.state.mode != .real, instant.state.mode != .virtual8086
    else { return nil }
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: code))
    if let instruction {
      guard instruction.loadsSelector else { return nil }
      let named = InstructionChecks(of: instruction, at: instant).namedSelector
      guard named == nil || named.map({ $0.rawValue & ~3 }) == selector.rawValue else { return nil }
    }
    let violation: SelectorViolation
    switch instant.descriptor(selector) {
    case .unknown where recorded.vector == .generalProtection && instant.isCurrentTask(selector, of: instruction):
      let refusal = TaskSwitch.Refusal(
        selector: selector, violation: .task(.isCurrentTask), exception: recorded.vector, errorCode: code)
      self.init(recorded.vector, code: code, .taskSwitch(refusal))
      return
    case .beyond(let limit): violation = .beyondTable(limit: limit)
    case .unknown: violation = .refused
    case .found, .notMapped, .outsideMemory: return nil
    }
    self.init(recorded.vector, code: code, .selector(selector, violation))
  }
}

extension RaisedException {
  /// The #GP(0) that was recorded at a far JMP or CALL outside long mode to a selector that is not null: then the offset lies beyond the limit of
  /// the code segment, or of that which a gate or task leads to, whatever the descriptor is (SDM vol. 2, JMP, Protected Mode Exceptions).
  init?(offsetOf recorded: RecordedException, by instruction: Instruction?, at instant: Instant) {
    guard recorded.vector == .generalProtection, recorded.errorCode == 0, let instruction,
      !instant.state.isLongModeActive, ![.real, .virtual8086].contains(instant.state.mode),
      let target = InstructionChecks(of: instruction, at: instant).namedFarTarget, !target.selector.isNull,
      case .unknown = instant.descriptor(target.selector)
    else { return nil }
    self.init(.generalProtection, code: 0, .selector(target.selector, .beyondUnseenLimit(offset: target.offset)))
  }
}

extension Instant {
  /// Whether a far JMP or CALL of protected mode goes to the task that TR holds: LTR and task switches mark its TSS as busy (SDM vol. 3, 8.2.2).
  fileprivate func isCurrentTask(_ selector: SegmentSelector, of instruction: Instruction?) -> Bool {
    guard let instruction, instruction.isFarBranch, ["jmp", "call"].contains(instruction.mnemonic),
      !state.isLongModeActive, !state.tr.selector.isNull
    else { return false }
    return state.tr.selector.rawValue & ~3 == selector.rawValue & ~3
  }
}

extension InstructionChecks {
  /// Where a far JMP or CALL goes that has its target in itself.
  var namedFarTarget: (selector: SegmentSelector, offset: UInt64)? {
    guard instruction.isFarBranch, ["jmp", "call"].contains(instruction.mnemonic),
      instruction.memoryOperands.allSatisfy({ !$0.isExplicit })
    else { return nil }
    return farTarget
  }

  /// The selector that the instruction itself holds, or a register; nil where it comes from memory.
  fileprivate var namedSelector: SegmentSelector? {
    let explicit = instruction.operands.filter(\.isExplicit)
    switch instruction.mnemonic {
    case "mov": return explicit.count == 2 ? operandSelector([explicit[1]]) : nil
    case "lldt", "ltr": return operandSelector(explicit)
    case "jmp", "call": return instruction.isFarBranch ? farTarget?.selector : nil
    default: return nil
    }
  }
}

extension Instant {
  /// What became of a selector's descriptor.
  enum DescriptorLookup {
    case found(SegmentDescriptor)
    /// It lies beyond its table's limit.
    case beyond(limit: UInt32)
    case notMapped(FailedAccess)
    /// Nothing is there. Zeroes are read under TCG (softmmu/memory.c: unassigned_mem_read, 7.2), which are a descriptor of nothing.
    case outsideMemory(LinearAddress)
    case unknown(String)
  }

  /// The descriptor that a selector, which is not null, names now.
  func descriptor(_ selector: SegmentSelector) -> DescriptorLookup {
    let table =
      selector.isLocal
      ? DescriptorTable(base: LinearAddress(state.ldtr.base), limit: state.ldtr.limit)
      : DescriptorTable(base: state.gdtr.base, limit: UInt32(state.gdtr.limit))
    guard table.contains(selector) else { return .beyond(limit: table.limit) }
    guard let paging else { return .unknown("EFER is not known") }
    do throws(LinearAccessFailure) {
      return .found(
        SegmentDescriptor(low: try paging.loadUInt64(at: table.address(of: selector), for: implicitRead, in: memory)))
    } catch {
      if case .walk(let walk) = error.cause, let failed = FailedAccess(walk) { return .notMapped(failed) }
      if executor == .tcg, case .memory(let missing) = error.cause, missing.reason == .unbacked {
        return .outsideMemory(table.address(of: selector))
      }
      return .unknown("the descriptor of \(selector.rawValue.hexadecimal) is not known")
    }
  }
}

extension FixedWidthInteger {
  /// The number that the bytes are, the least significant first; bytes beyond its width are dropped.
  init(littleEndian bytes: ArraySlice<UInt8>) {
    self = bytes.reversed().reduce(0) { $0 << 8 | Self(truncatingIfNeeded: $1) }
  }
}
