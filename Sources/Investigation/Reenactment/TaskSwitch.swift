import GuestImage
import X86

/// A switch to another task of protected mode: what it needs of the new TSS, and the registers it leaves (SDM vol. 3, 8.2 and
/// 8.3; TCG: target/i386/tcg/seg_helper.c, switch_tss_ra, 7.2).
enum TaskSwitch {
  /// The processor in the new task, before its first instruction.
  case completed(ProcessorState)
  case refused(Refusal)
  case unknown(String)

  /// A switch that raises an exception.
  struct Refusal: Hashable {
    /// The selector that is wrong.
    var selector: SegmentSelector
    var violation: Violation
    var exception: ExceptionVector
    var errorCode: UInt32
    /// The registers in which the exception is raised, if that is after the new task's were loaded.
    var context: ProcessorState?
  }

  enum Violation: Hashable {
    /// The TSS's own selector or descriptor.
    case task(SelectorViolation)
    /// The descriptor's limit is less than a TSS of its type needs.
    case tooShort(limit: UInt32)
    /// Its bytes cannot be read.
    case notMapped(FailedAccess)
    /// The TSS says so of a segment register, or of LDTR.
    case segment(String, SelectorViolation)
    /// EIP lies beyond the limit of the new code segment.
    case beyondCode(offset: UInt64, limit: UInt32)
  }

  /// - Parameters:
  ///   - selector: The TSS, as JMP, CALL, a task gate or the link of the current TSS names it.
  ///   - isReturn: Whether IRET goes back to it, so that it has to be busy.
  init(to selector: SegmentSelector, isReturn: Bool = false, at instant: Instant) {
    // A return has #TS where an entry has #GP (SDM vol. 2, IRET, TASK-RETURN).
    let vector: ExceptionVector = isReturn ? .invalidTSS : .generalProtection
    let judgement =
      selector.isNull ? .refused(.isNull) : instant.judgeSystem(selector, types: isReturn ? [3, 11] : [1, 9])
    switch judgement {
    case .unknown(let reason): self = .unknown(reason)
    case .refused(let violation):
      let exception = violation.exception() == .generalProtection ? vector : violation.exception()
      let code = UInt32(selector.rawValue & ~3)
      self = .refused(Refusal(selector: selector, violation: .task(violation), exception: exception, errorCode: code))
    case .loadable(let descriptor?): self = Self.entering(selector, descriptor, at: instant)
    case .loadable(nil): self = .unknown("the TSS's descriptor is not known")
    }
  }

  /// The task that the current one interrupted or was called from, as its TSS has it: the link at the beginning of the current TSS names it, while
  /// RFLAGS.NT is set (SDM vol. 3, 8.4). Nil where there is none, or where it is not known.
  static func taskBefore(_ instant: Instant) -> (selector: SegmentSelector, state: ProcessorState)? {
    let state = instant.state
    guard !state.isLongModeActive, state.cr0.contains(.protectionEnable), state.rflags.contains(.nestedTask),
      !state.tr.selector.isNull,
      case let link = instant.bytes(at: LinearAddress(state.tr.base), count: 2, for: instant.implicitRead),
      link.count == 2, case let selector = SegmentSelector(rawValue: UInt16(littleEndian: link[...])),
      !selector.isNull, selector != state.tr.selector,
      case .loadable(let descriptor?) = instant.judgeSystem(selector, types: [3, 11]),
      case .completed(let before) = entering(selector, descriptor, at: instant)
    else { return nil }
    return (selector, before)
  }

  private static func entering(
    _ selector: SegmentSelector, _ descriptor: SegmentDescriptor, at instant: Instant
  ) -> Self {
    let layout = TaskLayout(is16Bit: descriptor.attributes.type & 8 == 0)
    let code = UInt32(selector.rawValue & ~3)
    guard descriptor.limit >= layout.leastLimit else {
      return .refused(
        Refusal(
          selector: selector, violation: .tooShort(limit: descriptor.limit), exception: .invalidTSS, errorCode: code))
    }
    guard let paging = instant.paging else { return .unknown("EFER is not known") }
    do throws(LinearAccessFailure) {
      let bytes = try paging.bytes(
        at: LinearAddress(descriptor.base), count: Int(layout.leastLimit) + 1, for: instant.implicitRead,
        in: instant.memory)
      let task = SavedTask(bytes, layout)
      return task.loaded(selector, descriptor, at: instant)
    } catch {
      guard case .walk(let walk) = error.cause, error.isDefinite, let access = FailedAccess(walk) else {
        return .unknown("the TSS at \(descriptor.base.hexadecimal) is not known")
      }
      return .refused(
        Refusal(
          selector: selector, violation: .notMapped(access), exception: .pageFault,
          errorCode: access.errorCode.rawValue))
    }
  }
}

/// Where a TSS of protected mode has what (SDM vol. 3, figures 8-2 and 8-10).
private struct TaskLayout {
  var is16Bit: Bool

  /// 103 of a TSS of 32 bits, 43 of 16.
  var leastLimit: UInt32 { is16Bit ? 43 : 103 }
  var instructionPointer: Int { is16Bit ? 14 : 32 }
  var flags: Int { is16Bit ? 16 : 36 }
  var firstRegister: Int { is16Bit ? 18 : 40 }
  /// ES, CS, SS, DS, FS, GS in turn; a TSS of 16 bits ends with DS.
  var firstSegment: Int { is16Bit ? 34 : 72 }
  var localTable: Int { is16Bit ? 42 : 96 }
  /// Of all fields but the selectors, which take as much room and have 16 bits.
  var width: Int { is16Bit ? 2 : 4 }
}

/// The registers that a TSS holds.
private struct SavedTask {
  private let bytes: [UInt8]
  private let layout: TaskLayout

  init(_ bytes: [UInt8], _ layout: TaskLayout) { (self.bytes, self.layout) = (bytes, layout) }

  private func word(_ offset: Int, width: Int) -> UInt64 { UInt64(littleEndian: bytes[offset..<(offset + width)]) }

  private func selector(_ offset: Int) -> SegmentSelector {
    SegmentSelector(rawValue: UInt16(truncatingIfNeeded: word(offset, width: 2)))
  }

  private func segmentSelector(_ index: Int) -> SegmentSelector {
    if layout.is16Bit, index > 3 { return SegmentSelector(rawValue: 0) }
    return selector(layout.firstSegment + index * layout.width)
  }

  /// Loads all, and then checks: what is wrong by then is raised in the new task (SDM vol. 3, 8.3).
  func loaded(_ selector: SegmentSelector, _ descriptor: SegmentDescriptor, at instant: Instant) -> TaskSwitch {
    var state = instant.state
    state.tr = Segment(selector, descriptor)
    state.cr0.insert(.taskSwitched)
    if !layout.is16Bit, state.cr0.contains(.paging) { state.cr3 = word(28, width: 4) }
    state.rip = word(layout.instructionPointer, width: layout.width)
    state.rflags = RFLAGS(rawValue: word(layout.flags, width: layout.width) | 2)
    loadRegisters(into: &state)
    let context = instant.with(state)
    do throws(Stop) {
      state.ldtr = try loadLocalTable(context)
      try loadSegments(into: &state, instant.with(state))
      guard state.rip <= UInt64(state.cs.limit) else {
        throw Stop.refused(
          segmentSelector(1), .beyondCode(offset: state.rip, limit: state.cs.limit), .generalProtection, code: 0)
      }
      return .completed(state)
    } catch {
      switch error {
      case .unknown(let reason): return .unknown(reason)
      case .refused(let selector, let violation, let exception, let code):
        return .refused(
          TaskSwitch.Refusal(
            selector: selector, violation: violation, exception: exception, errorCode: code, context: state))
      }
    }
  }

  private func loadRegisters(into state: inout ProcessorState) {
    let values = (0..<8).map { word(layout.firstRegister + $0 * layout.width, width: layout.width) }
    var registers = GeneralPurposeRegisters()
    (registers.rax, registers.rcx, registers.rdx, registers.rbx) = (values[0], values[1], values[2], values[3])
    (registers.rsp, registers.rbp, registers.rsi, registers.rdi) = (values[4], values[5], values[6], values[7])
    state.generalPurpose = registers
  }

  private enum Stop: Error {
    case refused(SegmentSelector, TaskSwitch.Violation, ExceptionVector, code: UInt32)
    case unknown(String)
  }

  /// The descriptor, or #TS where the judgement is a refusal: #NP and #SS only for what is not present.
  private func descriptor(
    _ name: String, _ selector: SegmentSelector, _ judgement: SelectorJudgement, _ register: SegmentRegister? = nil
  ) throws(Stop) -> SegmentDescriptor? {
    switch judgement {
    case .loadable(let descriptor): return descriptor
    case .unknown(let reason): throw .unknown(reason)
    case .refused(let violation):
      var exception = violation.exception(for: register)
      if exception == .generalProtection || register == nil && name == "LDTR" && exception != .pageFault {
        exception = .invalidTSS
      }
      if case .notMapped(let access) = violation {
        throw .refused(selector, .segment(name, violation), .pageFault, code: access.errorCode.rawValue)
      }
      throw .refused(selector, .segment(name, violation), exception, code: UInt32(selector.rawValue & ~3))
    }
  }

  private func loadLocalTable(_ context: Instant) throws(Stop) -> Segment {
    let selector = selector(layout.localTable)
    guard !selector.isNull else { return Segment(selector: selector, base: 0, limit: 0, attributes: []) }
    let judgement = context.judgeSystem(selector, types: [2])
    guard let descriptor = try descriptor("LDTR", selector, judgement) else {
      throw .unknown("the LDT's descriptor is not known")
    }
    return Segment(selector, descriptor)
  }

  private func loadSegments(into state: inout ProcessorState, _ context: Instant) throws(Stop) {
    if state.rflags.contains(.virtual8086Mode) {
      for (index, register) in Self.registers.enumerated() {
        state[register] = .ofRealMode(segmentSelector(index), attributes: 0xF300)
      }
      state.currentPrivilegeLevel = 3
      return
    }
    let code = segmentSelector(1)
    let level = code.requestedPrivilegeLevel
    state.currentPrivilegeLevel = level
    for index in [1, 2, 0, 3, 4, 5] {
      let register = Self.registers[index]
      let selector = segmentSelector(index)
      let name = "\(register)".uppercased()
      let judgement =
        register == .cs ? judgeCode(code, context) : context.judge(selector, for: register, atLevel: level)
      let found = try descriptor(name, selector, judgement, register)
      state[register] =
        found.map { Segment(selector, $0) } ?? Segment(selector: selector, base: 0, limit: 0, attributes: [])
    }
  }

  /// The new CPL is CS's RPL, which DPL must fit (SDM vol. 3, table 8-1).
  private func judgeCode(_ selector: SegmentSelector, _ context: Instant) -> SelectorJudgement {
    guard !selector.isNull else { return .refused(.isNull) }
    return context.judge(selector) { descriptor in
      guard descriptor.isCode else { return .wrongType(descriptor) }
      let granted = descriptor.attributes.descriptorPrivilegeLevel
      let level = selector.requestedPrivilegeLevel
      let isConforming = descriptor.attributes.contains(.expandDownOrConforming)
      guard isConforming ? granted <= level : granted == level else { return .privilege(descriptor, level: level) }
      return descriptor.attributes.contains(.present) ? nil : .notPresent(descriptor)
    }
  }

  /// In the order of the TSS.
  private static let registers: [SegmentRegister] = [.es, .cs, .ss, .ds, .fs, .gs]
}

extension Segment {
  /// As it is after `descriptor` was loaded.
  init(_ selector: SegmentSelector, _ descriptor: SegmentDescriptor) {
    self.init(
      selector: selector, base: descriptor.base, limit: descriptor.limit, attributes: descriptor.attributes)
  }

  /// As real and virtual-8086 mode load it (SDM vol. 3, 21.1.1 and 21.2.2).
  static func ofRealMode(_ selector: SegmentSelector, attributes: UInt32) -> Segment {
    Segment(
      selector: selector, base: UInt64(selector.rawValue) << 4, limit: 0xFFFF,
      attributes: SegmentAttributes(rawValue: attributes))
  }
}

extension TaskSwitch.Refusal {
  /// What is wrong, as the end of a sentence: "the switch cannot be made, for …".
  var words: String {
    let name = selector.rawValue.hexadecimal
    switch violation {
    case .task(.isNull): return "its selector is null"
    case .task(.wrongType(let descriptor)):
      return "the selector \(name) names \(descriptor.kindWords), and not a TSS that is available"
    case .task(let violation): return "the TSS's selector is \(name), \(violation.words(selector, nil))"
    case .tooShort(let limit):
      return "the TSS \(name) has the limit \(limit.hexadecimal), and a TSS of 32 bits needs 0x67 (of 16 bits 0x2b)"
    case .notMapped(let access):
      return "the TSS \(name) cannot be read at \(access.address.rawValue.hexadecimal)"
    case .segment(let register, .isNull):
      return "the TSS has the null selector \(name) for \(register)"
    case .segment(let register, let violation):
      return "the TSS has the selector \(name) for \(register), \(violation.words(selector, nil))"
    case .beyondCode(let offset, let limit):
      return "the TSS has EIP \(offset.hexadecimal), beyond the limit of its code segment, \(limit.hexadecimal)"
    }
  }

  var access: FailedAccess? {
    switch violation {
    case .notMapped(let access), .task(.notMapped(let access)), .segment(_, .notMapped(let access)): access
    default: nil
    }
  }

  /// `#TS (0x28)`.
  var exceptionName: String { "\(exception.name) (\(errorCode.hexadecimal))" }
}
