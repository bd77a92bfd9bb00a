import GuestImage
import X86

/// A fault that found its handler, which ended the guest: a processor that gets nowhere, with interrupts off, has the fault's frame on its stack.
///
/// Kernels and firmware say what happened, and halt or loop (EDK2 stable202211 UefiCpuPkg/Library/CpuExceptionHandlerLib: CommonExceptionHandlerWorker,
/// which ends in CpuDeadLoop). What they said may be lost; the frame is not. It has RIP, RFLAGS and the stack pointer of the fault, and CR2 is that of the last
/// page fault. The instruction is reenacted with these, and must raise what the handler was called for.
struct HandledFault {
  let processor: ObservedProcessor
  let frame: ExceptionFrame
  let finding: Finding

  /// What the frame tells.
  enum Finding {
    /// The instruction raises this, and CR2 and the error code agree.
    case fault(FirstFault)
    /// The instruction can raise nothing but this.
    case vector(LoggedFault)
    /// What the processor would have to execute there is no memory.
    case outsideMemory(FetchOutsideMemory)
  }

  init?(_ hang: Hang) {
    for (processor, _) in hang.started {
      let instant = hang.scene.instant(of: processor)
      for frame in ExceptionFrame.frames(at: instant) {
        guard let finding = Self.finding(of: frame, at: instant, in: hang.scene) else { continue }
        (self.processor, self.frame, self.finding) = (processor, frame, finding)
        return
      }
    }
    return nil
  }

  /// The instruction at which the frame returns.
  var instruction: Instruction? {
    switch finding {
    case .fault(let fault): fault.instruction
    case .vector(let fault): fault.instruction
    case .outsideMemory: nil
    }
  }

  var instructionAddress: LinearAddress? {
    switch finding {
    case .fault(let fault): fault.instant?.state.instructionAddress
    case .vector(let fault): fault.programCounter.map { LinearAddress($0) }
    case .outsideMemory: nil
    }
  }

  /// What happened, in order.
  var chain: [Evidence] {
    let name =
      switch finding {
      case .fault(let fault): fault.exception.name
      case .vector(let fault): fault.vector.name
      case .outsideMemory: "an exception"
      }
    let state = processor.state
    let end = state.isHalted == true ? "halted" : "in a loop"
    return [
      Evidence("The stack has the frame of \(name): \(frame.words)", .guestMemory),
      Evidence(
        "Its handler did not return: the processor is \(end) at \(state.instructionAddress.rawValue.hexadecimal), with interrupts off",
        processor.source),
    ]
  }

  private static func finding(of frame: ExceptionFrame, at instant: Instant, in scene: Scene) -> Finding? {
    guard let before = frame.instant(before: instant) else { return nil }
    let next = NextInstruction(at: before)
    let pointer = before.state.instructionAddress
    if let exception = next.certainException, frame.agrees(with: exception),
      exception.access == nil
        ? exception.reason.isOfInstruction(errorCode: exception.errorCode)
        : exception.access?.address.rawValue == before.state.cr2
    {
      // A handler of #UD or #NM may have turned on what the instruction needs; a fetch fails before anything is looked at.
      guard exception.access.map({ $0.access.kind == .fetch }) ?? true else {
        return dataFault(of: frame, next, at: before, in: scene).map(Finding.fault)
      }
      // CR2 and the error code tell more than a frame of three words does.
      guard exception.access != nil || frame.isTold(of: exception.vector) else { return nil }
      return .fault(fault(exception, next.instruction, at: before, in: scene))
    }
    // What is read where no memory is, all ones, is no instruction.
    if frame.isTold(of: .invalidOpcode),
      let cause = FetchOutsideMemory(next, at: before.state, isFailedEmulation: false, named: nil)
    {
      return .outsideMemory(cause)
    }
    guard let instruction = next.instruction else { return nil }
    // With interrupts on, one may have come there.
    if instruction.isDivision, instruction.memoryOperands.isEmpty,
      !frame.flags.contains(.interruptEnable)
    {
      return .vector(
        LoggedFault(
          vector: .divideError, programCounter: pointer.rawValue, isTripleFault: false, code: ([], instruction.bytes),
          source: .guestMemory))
    }
    return dataFault(of: frame, next, at: before, in: scene).map(Finding.fault)
  }

  private static func fault(
    _ exception: RaisedException, _ instruction: Instruction?, at instant: Instant, in scene: Scene
  ) -> FirstFault {
    FirstFault(
      exception: exception, instruction: instruction, instant: instant,
      rules: scene.rules(of: scene.walker, for: instant.state))
  }

  // MARK: Page faults

  /// A page fault of an operand: the one that CR2 is the address of, if its walk fails as the frame's error code says.
  ///
  /// A register that makes up the address is known by that. Where the error code is 0, as that of most #GP is and as stubs push it for exceptions
  /// without one, it must still be what it was, or lie where the handler saved it.
  private static func dataFault(
    of frame: ExceptionFrame, _ next: NextInstruction, at instant: Instant, in scene: Scene
  ) -> FirstFault? {
    guard let instruction = next.instruction else { return nil }
    for operand in instruction.memoryOperands {
      guard operand.memory?.purpose == .access,
        let state = instant.state.with(LinearAddress(instant.state.cr2), of: operand, instruction, savedIn: frame)
      else { continue }
      var solved = instant
      solved.state = state
      guard let exception = NextInstruction(at: solved).certainException, let access = exception.access,
        access.address.rawValue == state.cr2, frame.agrees(with: exception), !isAmbiguous(access, frame)
      else { continue }
      return fault(exception, instruction, at: solved, in: scene)
    }
    return nil
  }

  /// Whether CR2 and the error code are what they were before any page fault: then the handler must have been told by its vector.
  private static func isAmbiguous(_ access: FailedAccess, _ frame: ExceptionFrame) -> Bool {
    access.address.rawValue == 0 && access.errorCode.rawValue == 0
      && frame.pushed.dropLast().last != UInt64(ExceptionVector.pageFault.rawValue)
  }
}

extension ProcessorState {
  /// The registers with which `operand` lies at `address`; nil if it cannot.
  fileprivate func with(
    _ address: LinearAddress, of operand: Operand, _ instruction: Instruction, savedIn frame: ExceptionFrame
  ) -> ProcessorState? {
    if instruction.linearAddress(of: operand, in: self) == address { return self }
    guard let reference = operand.memory, (reference.base == nil) != (reference.index == nil),
      case .general(let number, let bits)? = reference.base ?? reference.index, number != 4, bits >= 32
    else { return nil }
    var state = self
    state.generalPurpose[number] = 0
    guard let rest = instruction.linearAddress(of: operand, in: state) else { return nil }
    let distance = bits == 64 ? address.rawValue &- rest.rawValue : (address.rawValue &- rest.rawValue) & 0xFFFF_FFFF
    let scale = reference.index == nil ? 1 : UInt64(max(reference.scale, 1))
    let value = distance / scale
    guard distance % scale == 0, frame.pushed.last != 0 || frame.pushed.contains(value) else { return nil }
    state.generalPurpose[number] = value
    return instruction.linearAddress(of: operand, in: state) == address ? state : nil
  }
}

extension Instruction {
  /// Whether it is one of those that raise #DE.
  var isDivision: Bool { mnemonic == "div" || mnemonic == "idiv" }
}

extension RaisedException.Reason {
  /// Whether the instruction raises it whatever the general-purpose registers hold, and so long as control registers are as they are; a selector is
  /// named by the error code.
  fileprivate func isOfInstruction(errorCode: UInt32?) -> Bool {
    switch self {
    case .selector: errorCode ?? 0 != 0
    case .noInstruction, .onPurpose, .missingFeature, .notEnabled, .notInThisMode, .privilege: true
    default: false
    }
  }
}

/// What an event pushed that was delivered in protected or 64-bit mode, as it still lies on the stack (SDM vol. 3, 6.12.1 and 6.14.2).
struct ExceptionFrame {
  /// Where RIP lies.
  let address: LinearAddress
  let instructionPointer: UInt64
  let codeSelector: SegmentSelector
  let flags: RFLAGS
  /// Where SP was, and SS.
  let stackPointer: UInt64
  let stackSelector: SegmentSelector
  /// Whether SP and SS lie there as well. Without them it is three words, which parameters and variables may look like.
  private let isWhole: Bool
  /// What lies between the stack pointer and the frame, from low to high addresses: the error code, if there is one, is the last.
  let pushed: [UInt64]

  /// How far above the stack pointer a frame is looked for: handlers print, and have room for that.
  private static let furthest = 0x2000

  /// Those on the stack of `instant`, the innermost first.
  static func frames(at instant: Instant) -> [ExceptionFrame] {
    let width: Int
    switch instant.state.mode {
    case .long64: width = 8
    case .protected(bits: 32): width = 4
    default: return []
    }
    let top = (instant.state.stackAddress &+ UInt64(width - 1)) & ~UInt64(width - 1)
    let bytes = instant.bytes(at: LinearAddress(top), count: furthest, for: PageAccess(.read, by: .supervisor))
    let words = stride(from: 0, through: bytes.count - width, by: width).map {
      UInt64(littleEndian: bytes[$0..<($0 + width)])
    }
    return words.indices.compactMap { ExceptionFrame(words, at: $0, top, width, instant) }
  }

  private init?(_ words: [UInt64], at index: Int, _ top: UInt64, _ width: Int, _ instant: Instant) {
    guard index + 2 < words.count, words[index + 1] <= 0xFFFF, words[index + 2] & 2 != 0,
      words[index + 2] & ~0x3F_7FD7 == 0
    else { return nil }
    let selector = SegmentSelector(rawValue: UInt16(truncatingIfNeeded: words[index + 1]))
    guard !selector.isNull, case .found(let descriptor) = instant.descriptor(selector), descriptor.isCode,
      descriptor.attributes.contains(.present)
    else { return nil }
    let changesPrivilege = selector.requestedPrivilegeLevel > instant.currentPrivilegeLevel
    let address = top &+ UInt64(index * width)
    isWhole = width == 8 || changesPrivilege
    if isWhole {
      guard index + 4 < words.count, words[index + 4] <= 0xFFFF else { return nil }
      (stackPointer, stackSelector) = (
        words[index + 3], SegmentSelector(rawValue: UInt16(truncatingIfNeeded: words[index + 4]))
      )
      let end = address &+ 40
      guard width == 4 || end == stackPointer & ~15 && !changesPrivilege || instant.startsStack(at: end) else {
        return nil
      }
    } else {
      (stackPointer, stackSelector) = (address &+ 12 &- instant.state.ss.base, instant.state.ss.selector)
    }
    self.address = LinearAddress(address)
    (instructionPointer, codeSelector, flags) = (words[index], selector, RFLAGS(rawValue: words[index + 2]))
    pushed = Array(words[..<index])
  }

  /// What it holds, and where it lies.
  var words: String {
    "at \(address.rawValue.hexadecimal) RIP \(instructionPointer.hexadecimal), CS \(codeSelector.rawValue.hexadecimal), RFLAGS \(flags.rawValue.hexadecimal), "
      + "RSP \(stackPointer.hexadecimal)"
  }

  /// The innermost frame of a guest that hangs, where nothing tells what it is of.
  static func observation(of hang: Hang) -> Evidence? {
    for (processor, _) in hang.started where processor.state.mode == .long64 {
      let instant = hang.scene.instant(of: processor)
      guard let frame = frames(at: instant).first, let before = frame.instant(before: instant),
        let instruction = NextInstruction(at: before).instruction
      else { continue }
      return Evidence(
        "The stack has what an exception or interrupt pushes, \(frame.words): it came at `\(instruction.text)`. If its handler has not returned since, it is where the guest hangs, "
          + "and what it may have printed tells why", .guestMemory)
    }
    return nil
  }

  /// Whether it can be nothing but a frame, or its handler has pushed the number of an exception that has no error code.
  func isTold(of vector: ExceptionVector) -> Bool { isWhole || pushed.suffix(2).contains(UInt64(vector.rawValue)) }

  /// Whether the word in front of it is the exception's error code, where it has one.
  func agrees(with exception: RaisedException) -> Bool {
    guard let code = exception.errorCode else { return true }
    return pushed.last == UInt64(code)
  }

  /// The processor when the event came, but for the general-purpose registers; nil where CS cannot be known again.
  func instant(before instant: Instant) -> Instant? {
    guard case .found(let descriptor) = instant.descriptor(codeSelector) else { return nil }
    var state = instant.state
    (state.rip, state.rflags, state.isHalted) = (instructionPointer, flags, false)
    state.cs = Segment(codeSelector, descriptor)
    if !stackSelector.isNull, case .found(let descriptor) = instant.descriptor(stackSelector) {
      state.ss = Segment(stackSelector, descriptor)
    }
    state.generalPurpose.rsp = stackPointer
    state.currentPrivilegeLevel = codeSelector.requestedPrivilegeLevel
    return instant.with(state)
  }
}

extension Instant {
  /// Whether the TSS has a stack that begins at `address`: RSP0, or one of the interrupt stack table.
  fileprivate func startsStack(at address: UInt64) -> Bool {
    guard let paging, state.tr.limit >= TaskStateSegment.leastLimit else { return false }
    let tss = TaskStateSegment(base: LinearAddress(state.tr.base))
    let places =
      [tss.stackPointerAddress(ofPrivilegeLevel: 0)] + (1...7).map { tss.stackPointerAddress(ofInterruptStack: $0) }
    return places.contains { place in
      guard let pointer = try? paging.loadUInt64(at: place, for: implicitRead, in: memory), pointer != 0 else {
        return false
      }
      return pointer & ~15 == address
    }
  }
}
