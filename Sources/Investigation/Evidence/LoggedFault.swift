import GuestImage
import QEMU
import X86

/// The exception that a chain in a log of `-d int` began with, for where the log shows no registers: what its lines tell.
struct LoggedFault {
  var vector: ExceptionVector
  /// Nil where the log does not show it.
  var errorCode: UInt32?
  /// CR2 of a page fault.
  var address: UInt64?
  /// CS.base + RIP.
  var programCounter: UInt64?
  var stackPointer: UInt64?
  /// RAX, which the log shows for all but page faults.
  var rax: UInt64?
  /// The number of the exception in the run, counted from 0.
  var number: Int?
  var currentPrivilegeLevel: Int?
  /// CS's selector.
  var codeSelector: SegmentSelector?
  /// What was raised while it was being delivered.
  var follower: InterruptLog?
  /// Whether it is an interrupt from a device: then the vector says nothing of an exception.
  var isInterrupt = false
  /// The device's interrupt that was being delivered when it was raised.
  var interruptBefore: UInt8?
  /// Whether the log shows the triple fault that came of it.
  var isTripleFault: Bool
  /// What was raised while #DF was being delivered.
  var shutdownBy: ExceptionVector?
  /// The bytes at the instruction and in front of it, of a listing.
  var code: (before: [UInt8], from: [UInt8])?
  /// The dump next to it, or what there is of one.
  var dump: RegisterDump?
  var source: Source

  var pageFault: PageFaultErrorCode? { vector == .pageFault ? errorCode.map(PageFaultErrorCode.init(rawValue:)) : nil }

  /// What the error code names, where it is one that names anything.
  var selectorError: SelectorErrorCode? {
    guard [.invalidTSS, .segmentNotPresent, .stackFault, .generalProtection].contains(vector), let errorCode,
      errorCode & 0xFFFE != 0
    else { return nil }
    return SelectorErrorCode(rawValue: errorCode)
  }

  /// Whether the fault is of fetching the instruction itself.
  var isFetch: Bool {
    guard vector == .pageFault else { return false }
    return pageFault?.contains(.fetch) == true || address != nil && address == programCounter
  }

  /// Whether it is a supervisor's access at CPL 3: of the processor's own, to the IDT, GDT or TSS, or to a new stack.
  var isImplicit: Bool { currentPrivilegeLevel == 3 && pageFault?.contains(.user) == false }

  /// CR2 less the stack pointer, where it is below it by less than a page.
  var distanceBelowStack: UInt64? {
    guard let address, let stackPointer, stackPointer > address, stackPointer - address <= 4096 else { return nil }
    return stackPointer - address
  }
}

extension LoggedFault {
  /// The mode of the code, as far as selectors, widths and error codes tell.
  var mode: ProcessorMode {
    if let cs = dump?[.cs] {
      return cs.attributes.contains(.long) ? .long64 : .protected(bits: cs.attributes.contains(.big) ? 32 : 16)
    }
    if let width = dump?.width { return width == .bits64 ? .long64 : .protected(bits: 32) }
    // The GDT's entries of 16 bytes count twice in TCG's error codes for the IDT (measured with 7.2).
    if let follower, follower.vector == .generalProtection, follower.errorCode & 2 != 0 {
      return follower.errorCode >> 4 == UInt32(vector.rawValue) ? .long64 : .protected(bits: 32)
    }
    return .long64
  }

  /// The instruction, where a listing shows its bytes.
  var instruction: Instruction? {
    guard let code, let programCounter else { return nil }
    return try? Instruction.decode(code.from, at: programCounter, mode: mode)
  }

  /// The instruction whose first bytes QEMU lists: of an opcode that TCG does not know, it reads no operands (target/i386/tcg/translate.c:
  /// gen_unknown_opcode, 7.2). Its mnemonic is known if it is the same whatever byte comes next: where that is the opcode itself, behind a prefix of
  /// VEX, or completes it in ModRM, it is not.
  var instructionOfCutBytes: Instruction? {
    guard vector == .invalidOpcode, let code, !code.from.isEmpty, let programCounter, instruction == nil else {
      return nil
    }
    let candidates = (UInt8.min...UInt8.max).compactMap { next -> Instruction? in
      let bytes = code.from + [next] + [UInt8](repeating: 0, count: 8)
      guard let decoded = try? Instruction.decode(bytes, at: programCounter, mode: mode) else { return nil }
      return decoded.length > code.from.count ? decoded : nil
    }
    return Set(candidates.map(\.mnemonic)).count == 1 ? candidates.first : nil
  }

  /// The instructions in front of it, as a listing shows them.
  var instructionsBefore: [Instruction] {
    guard let code, let programCounter else { return [] }
    var found: [Instruction] = []
    var index = 0
    while index < code.before.count {
      let address = programCounter &- UInt64(code.before.count - index)
      guard let instruction = try? Instruction.decode(Array(code.before[index...]), at: address, mode: mode) else {
        return []
      }
      found.append(instruction)
      index += instruction.length
    }
    return found
  }
}

extension Scene {
  /// The first exception of the last chain in a log of `-d int`.
  var loggedFault: LoggedFault? {
    guard var (index, first) = lastLoggedException else { return checkedFault }
    var follower: InterruptLog?
    while !isHardware(first, at: index), let (before, earlier) = exception(before: index),
      follows(first, earlier, between: before, and: index)
    {
      follower = first
      (index, first) = (before, earlier)
    }
    let end = log[index...].contains { $0.value.isShutdown }
    let last = log[index...].lazy.compactMap { entry -> ExceptionVector? in
      if case .exceptionCheck(.doubleFault?, let new) = entry.value { new } else { nil }
    }.first
    let dump = log[index...].lazy.compactMap { entry -> RegisterDump? in
      if case .registerDump(let dump) = entry.value { dump } else { nil }
    }.first
    return LoggedFault(
      vector: first.vector, errorCode: first.errorCode, address: first.vector == .pageFault ? first.cr2 : nil,
      programCounter: first.programCounter ?? first.instructionPointer, stackPointer: first.stackPointer,
      rax: first.rax, number: first.number,
      currentPrivilegeLevel: first.currentPrivilegeLevel, codeSelector: first.codeSelector, follower: follower,
      isInterrupt: isHardware(first, at: index), interruptBefore: interrupt(before: index, of: first),
      isTripleFault: end, shutdownBy: last,
      code: (first.programCounter ?? first.instructionPointer).flatMap(listedCode), dump: dump,
      source: log[index].source)
  }

  /// The exception that a log ends with, where nothing shows that it was handled: the run's first, in the kernel's own code. One that came
  /// after others says nothing, since those were handled.
  var suspectedFault: LoggedFault? {
    guard trace.isEmpty, let fault = loggedFault, !fault.isTripleFault, fault.number == 0,
      fault.currentPrivilegeLevel == 0
    else { return nil }
    return fault
  }

  /// The same where the log is cut down to its `check_exception` lines.
  private var checkedFault: LoggedFault? {
    guard let index = log.lastIndex(where: \.value.isShutdown) else { return nil }
    guard
      let first = log[...index].lastIndex(where: { if case .exceptionCheck(nil, _) = $0.value { true } else { false } }
      ),
      case .exceptionCheck(_, let new) = log[first].value
    else { return nil }
    if let benign = benignException(before: first), new == .generalProtection {
      return LoggedFault(vector: benign, isTripleFault: true, source: log[first - 1].source)
    }
    return LoggedFault(vector: new, isTripleFault: true, source: log[first].source)
  }

  /// The exception that was checked right before another at `index`, and only once: one that TCG does not say to have been interrupted
  /// (target/i386/tcg/excp_helper.c: check_exception, 7.2).
  private func benignException(before index: Int) -> ExceptionVector? {
    guard index > 0, case .exceptionCheck(nil, .invalidOpcode) = log[index - 1].value else { return nil }
    if index > 1, case .exceptionCheck = log[index - 2].value { return nil }
    return .invalidOpcode
  }

  private var lastLoggedException: (Int, InterruptLog)? { exception(before: log.count) }

  private func exception(before end: Int) -> (Int, InterruptLog)? {
    for index in log[..<end].indices.reversed() {
      guard case .interrupt(let interrupt) = log[index].value else { continue }
      return interrupt.isSoftware == true || interrupt.vector.rawValue > 31 ? nil : (index, interrupt)
    }
    return nil
  }

  /// Whether the log announces an interrupt as a device's.
  private func isHardware(_ interrupt: InterruptLog, at index: Int) -> Bool {
    if case .hardwareInterrupt(interrupt.vector.rawValue, _)? = log[..<index].last?.value { true } else { false }
  }

  /// The device's interrupt whose delivery the exception at `index` came of: the log announces it, and nothing ran since.
  private func interrupt(before index: Int, of exception: InterruptLog) -> UInt8? {
    guard exception.vector != .doubleFault else { return nil }
    // Its own line is missing where it came in real mode, from where much was executed since; or the log was condensed, and has no dumps either.
    var isDelivered = false
    let isWhole =
      log[index...].dropFirst().first.map { if case .registerDump = $0.value { true } else { false } } ?? false
    for entry in log[..<index].reversed() {
      switch entry.value {
      case .exceptionCheck(nil, _), .registerDump: continue
      case .interrupt(let interrupt) where interrupt.isSoftware != true && interrupt.vector.rawValue > 31:
        guard interrupt.programCounter == exception.programCounter else { return nil }
        isDelivered = true
      case .hardwareInterrupt(let vector, _): return isDelivered || !isWhole ? vector : nil
      default: return nil
      }
    }
    return nil
  }

  /// Whether `later` was raised while `earlier` was being delivered, as far as place and the lines between tell.
  private func follows(_ later: InterruptLog, _ earlier: InterruptLog, between start: Int, and end: Int) -> Bool {
    let isSamePlace: Bool
    if let one = later.programCounter, let other = earlier.programCounter {
      isSamePlace = one == other
    } else if let one = later.stackPointer, let other = earlier.stackPointer {
      isSamePlace = one == other
    } else {
      // A line that was cut down to vector and code: the next in number.
      let isCut = later.instructionPointer == nil && later.stackPointer == nil
      isSamePlace = isCut && earlier.number.map { $0 &+ 1 } == later.number && later.number != nil
    }
    guard isSamePlace else { return false }
    let checks = log[start..<end].compactMap { entry -> ExceptionVector?? in
      if case .exceptionCheck(let old, _) = entry.value { .some(old) } else { nil }
    }
    if later.vector == .doubleFault { return true }
    if checks.contains(earlier.vector) { return true }
    // A benign exception is checked anew: what keeps it from its handler is a #GP for its gate.
    return [.generalProtection, .segmentNotPresent].contains(later.vector)
      && SelectorErrorCode(rawValue: later.errorCode).vectors(isLongModeActive: true).contains(earlier.vector.rawValue)
  }

  /// The bytes of a listing around an address: at the same address in the last listing that has it, for code may have been overwritten; or
  /// at one that differs by a multiple of 1 MiB, as a kernel moved by KASLR has it in a disassembler's listing.
  func listedCode(_ address: UInt64) -> (before: [UInt8], from: [UInt8])? {
    let listings = log.lazy.reversed().compactMap { entry -> CodeListing? in
      if case .codeListing(let listing) = entry.value { listing } else { nil }
    }
    for listing in listings {
      if let code = listing.bytes(around: address) { return code }
    }
    for listing in listings where !listing.isOfGuest {
      guard let moved = listing.lines.first(where: { ($0.address ^ address) & 0xF_FFFF == 0 })?.address else {
        continue
      }
      if let code = listing.bytes(around: moved) { return code }
    }
    return nil
  }
}

extension QEMUMessage {
  /// Whether TCG says that it shuts down: in so many words with `-d cpu_reset`, and with `-d int` by an exception while it
  /// delivers #DF (target/i386/tcg/excp_helper.c: check_exception, 7.2).
  var isShutdown: Bool {
    switch self {
    case .tripleFault: true
    case .exceptionCheck(let old, _): old == .doubleFault
    default: false
    }
  }
}
