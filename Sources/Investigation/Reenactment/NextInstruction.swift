import GuestImage
import X86

/// What the processor must do next, worked out from its registers and memory: fetch the instruction at RIP, decode it, and
/// check all that can keep it from being executed, in the order of the SDM (vol. 2, each instruction's exceptions; vol. 3,
/// 6.9).
struct NextInstruction {
  /// The decoded instruction; nil where its bytes could not be had.
  private(set) var instruction: Instruction?
  /// The exceptions that it may raise, in order: those that hang on something unknown, and at the end the first that is
  /// certain, if one is.
  private(set) var exceptions: [RaisedException] = []
  /// What could not be judged, and may raise an exception before those found; nil if nothing stands between the instruction and its end but `exceptions`.
  private(set) var doubt: String?

  /// Where the instruction would have to be fetched from, if there is no memory.
  private(set) var outsideMemory: UnavailableMemory?

  /// The exception that is raised whatever the rest is.
  var certainException: RaisedException? {
    doubt == nil ? exceptions.last.flatMap { $0.isCertain ? $0 : nil } : nil
  }

  /// - Parameters:
  ///   - instant: The processor before the instruction.
  ///   - otherBytes: The bytes at RIP as another source has them, for where the memory does not.
  init(at instant: Instant, otherBytes: [UInt8]? = nil) {
    let fetch = Fetch(at: instant)
    outsideMemory = fetch.outsideMemory
    var bytes = fetch.bytes
    if bytes.isEmpty, fetch.exception == nil, let otherBytes { bytes = otherBytes }
    defer { exceptions = Self.debugExceptions(at: instant, before: exceptions) }
    do throws(DecodingError) {
      check(try Instruction.decodeNext(bytes, in: instant.state), at: instant)
    } catch {
      if error == .illegalLock, instant.executor == .tcg, let unlocked = Self.withoutLock(bytes, in: instant.state) {
        check(unlocked, at: instant)
        exceptions.insert(
          RaisedException(.invalidOpcode, .noInstruction(error), if: "this TCG refuses the LOCK prefix there"), at: 0)
        return
      }
      guard error == .truncated else {
        if let known = Self.instructionOfProtectedMode(bytes, in: instant.state) {
          instruction = known
          exceptions = [RaisedException(.invalidOpcode, .notInThisMode)]
        } else {
          exceptions = [error.exception(of: bytes, in: instant.state.mode)]
        }
        return
      }
      // What cannot be fetched can still be shown.
      instruction = otherBytes.flatMap { try? Instruction.decodeNext($0, in: instant.state) }
      exceptions = fetch.exception.map { [$0] } ?? []
      doubt = exceptions.isEmpty ? fetch.doubt ?? "the bytes at RIP end before the instruction does" : nil
    }
  }
}

extension NextInstruction {
  private mutating func check(_ instruction: Instruction, at instant: Instant) {
    self.instruction = instruction
    var checks = InstructionChecks(of: instruction, at: instant)
    checks.run()
    exceptions = checks.exceptions
    doubt = checks.doubt
  }

  /// The instruction that TCG makes of one with a LOCK prefix that a processor refuses: it looks at the prefix only where arithmetic has a register
  /// for its destination, which stays #UD (target/i386/tcg/translate.c: gen_op, disas_insn, 7.2).
  private static func withoutLock(_ bytes: [UInt8], in state: ProcessorState) -> Instruction? {
    guard let prefix = bytes.prefix(15).firstIndex(of: 0xF0) else { return nil }
    var bytes = bytes
    bytes.remove(at: prefix)
    guard let instruction = try? Instruction.decodeNext(bytes, in: state) else { return nil }
    if case .register? = instruction.operands.first(where: \.isWrite)?.value, lockable.contains(instruction.mnemonic) {
      return nil
    }
    return instruction
  }

  /// What may have a LOCK prefix if its destination is memory (SDM vol. 2, LOCK).
  private static let lockable: Set<String> = [
    "add", "adc", "and", "btc", "btr", "bts", "cmpxchg", "dec", "inc", "neg", "not", "or", "sbb", "sub", "xor", "xadd",
  ]

  /// The debug exceptions that may come before the instruction is executed, in front of its own (SDM vol. 3, 6.9 and 17.3.1): a breakpoint at it for
  /// certain, and what DR6 says that the instruction before it met.
  private static func debugExceptions(at instant: Instant, before others: [RaisedException]) -> [RaisedException] {
    let state = instant.state
    guard let debug = state.debug else { return others }
    let breakpoints = debug.breakpoints
    if let found = breakpoints.first(where: { $0.isOfExecution && $0.address == state.instructionAddress }),
      !state.rflags.contains(.resume)
    {
      return [RaisedException(.debug, .debug(found.condition))]
    }
    var pending: [RaisedException] = []
    if debug.isSingleStepMet, state.rflags.contains(.trap) {
      pending.append(RaisedException(.debug, .debug(.singleStep), if: "RFLAGS.TF was set one instruction before"))
    }
    if let found = breakpoints.first(where: { $0.isMet && !$0.isOfExecution }) {
      pending.append(
        RaisedException(.debug, .debug(found.condition), if: "the instruction before made the access that DR6 tells of")
      )
    }
    return pending + others
  }

  /// What `bytes` are in protected mode, where real and virtual-8086 mode have no such instruction: LTR and its kin (SDM vol. 2, each one's
  /// exceptions).
  private static func instructionOfProtectedMode(_ bytes: [UInt8], in state: ProcessorState) -> Instruction? {
    guard state.mode == .real || state.mode == .virtual8086 else { return nil }
    let instruction = try? Instruction.decode(bytes, at: state.rip, mode: .protected(bits: 16))
    return instruction.flatMap { ofProtectedMode.contains($0.mnemonic) ? $0 : nil }
  }

  private static let ofProtectedMode: Set<String> = [
    "lldt", "ltr", "sldt", "str", "lar", "lsl", "verr", "verw", "arpl",
  ]
}

extension DecodingError {
  /// What the processor raises for bytes that are no instruction (SDM vol. 2, 2.3.11 and UD).
  ///
  /// What Zydis does not know may be an instruction of a later processor.
  fileprivate func exception(of bytes: [UInt8], in mode: ProcessorMode) -> RaisedException {
    switch self {
    case .undefined where mode == .long64 && Self.opcode(of: bytes).map(Self.undefinedIn64BitMode.contains) == true:
      RaisedException(.invalidOpcode, .noInstruction(self))
    case .tooLong: .generalProtection(.noInstruction(self))
    case .undefined:
      RaisedException(.invalidOpcode, .noInstruction(self), if: "the processor has no instruction of these bytes")
    case .truncated, .illegalLock, .badRegister: RaisedException(.invalidOpcode, .noInstruction(self))
    }
  }
}

extension DecodingError {
  /// Opcodes that 64-bit mode took away for good (SDM vol. 2, table A-2: i64).
  private static let undefinedIn64BitMode: Set<UInt8> = [
    0x06, 0x07, 0x0E, 0x16, 0x17, 0x1E, 0x1F, 0x27, 0x2F, 0x37, 0x3F, 0x60, 0x61, 0x82, 0x9A, 0xCE, 0xD4, 0xD5, 0xEA,
  ]

  /// The first byte behind the prefixes (SDM vol. 2, 2.1.1, 2.2.1).
  private static func opcode(of bytes: [UInt8]) -> UInt8? {
    bytes.first { !prefixes.contains($0) && $0 & 0xF0 != 0x40 }
  }

  private static let prefixes: Set<UInt8> = [0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3]
}

extension NextInstruction {
  /// The three bytes before RIP and the two from RIP on; nil where either cannot be read.
  static func bytesAround(
    _ state: ProcessorState, in memory: some PhysicalMemory
  ) -> (before: [UInt8], after: [UInt8])? {
    // No entry of the tables is judged here, so no rule can matter.
    guard let paging = Paging(state, rules: PagingRules()) else { return nil }
    let pointer = state.instructionAddress.rawValue
    let parts = [(pointer &- 3, 3), (pointer, 2)].map { start, count in
      try? paging.bytes(at: LinearAddress(start), count: count, for: PageAccess(.read, by: .supervisor), in: memory)
    }
    guard let before = parts[0], let after = parts[1] else { return nil }
    return (before, after)
  }
}

/// The bytes of the next instruction, fetched page by page.
private struct Fetch {
  /// An instruction has at most 15 bytes (SDM vol. 2, 2.3.11).
  private static let longestInstruction: UInt64 = 15

  private(set) var bytes: [UInt8] = []
  /// What kept the processor from fetching more; nil if nothing is known to.
  private(set) var exception: RaisedException?
  /// What keeps more from being fetched, if it is that nothing, or a device, answers at the very first byte.
  private(set) var outsideMemory: UnavailableMemory?
  /// Why it is not known whether more can be fetched.
  private(set) var doubt: String?

  init(at instant: Instant) {
    let start = instant.state.instructionAddress
    let room = Self.room(in: instant)
    while UInt64(bytes.count) < Self.longestInstruction {
      guard UInt64(bytes.count) < room else {
        let state = instant.state
        exception = .generalProtection(
          .segment(.cs, .beyondLimit(offset: state.rip &+ UInt64(bytes.count), limit: state.cs.limit)))
        return
      }
      let address = LinearAddress(start.rawValue &+ UInt64(bytes.count))
      let untilPageEnd = 0x1000 - address.rawValue & 0xFFF
      let count = min(Self.longestInstruction - UInt64(bytes.count), untilPageEnd, room - UInt64(bytes.count))
      switch instant.translate(address, for: PageAccess(.fetch, by: instant.privilege)) {
      case .physical(let physical):
        let part: [UInt8]
        do throws(UnavailableMemory) {
          part = try instant.memory.bytes(at: physical, count: Int(count))
        } catch {
          if error.reason != .notCaptured, bytes.isEmpty { outsideMemory = error }
          doubt = "the memory at physical \(physical.rawValue.hexadecimal), where RIP leads, is not known"
          return
        }
        bytes += part
      case .fails(let exception):
        self.exception = exception
        return
      case .unknown(let doubt):
        self.doubt = doubt
        return
      }
    }
  }

  /// How many bytes there are from RIP to the limit of CS, beyond which a fetch raises #GP (SDM vol. 3, 5.3); 64-bit mode has no limit, and
  /// TCG does not look at it (measured with 7.2).
  private static func room(in instant: Instant) -> UInt64 {
    let state = instant.state
    guard state.mode != .long64, instant.executor != .tcg else { return .max }
    let limit = UInt64(state.cs.limit)
    return state.rip > limit ? 0 : limit - state.rip + 1
  }
}

extension PhysicalMemory {
  /// `count` bytes from `address` on.
  func bytes(at address: PhysicalAddress, count: Int) throws(UnavailableMemory) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try read(address, into: &span)
    return bytes
  }
}

extension DebugRegisters.Breakpoint {
  fileprivate var condition: DebugCondition {
    .breakpoint(number: number, address: address, isOfExecution: isOfExecution)
  }
}
