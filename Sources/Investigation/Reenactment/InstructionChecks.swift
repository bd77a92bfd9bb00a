import GuestImage
import X86

/// All that can keep a decoded instruction from being executed, in the order in which the processor looks (SDM vol. 3, table
/// 6-2): whether there is such an instruction here, whether it may be used at this CPL, and what its operands are.
struct InstructionChecks {
  let instruction: Instruction
  let instant: Instant
  private(set) var exceptions: [RaisedException] = []
  private(set) var doubt: String?

  init(of instruction: Instruction, at instant: Instant) {
    self.instruction = instruction
    self.instant = instant
  }

  var state: ProcessorState { instant.state }

  /// Makes the checks, up to the first that fails for certain.
  mutating func run() {
    let checks: [(inout Self) -> Void] = [
      { $0.checkPurpose() }, { $0.checkFeatures() }, { $0.checkEnableBits() }, { $0.checkPrivilege() },
      { $0.checkSystemCall() }, { $0.checkSystemRegisters() }, { $0.checkDivision() },
      { $0.checkPendingFloatingPoint() }, { $0.checkOperands() },
      { $0.checkSelectors() },
      { $0.checkBranchTarget() }, { $0.checkInterrupt() },
    ]
    for check in checks where exceptions.last?.isCertain != true { check(&self) }
  }

  mutating func raise(_ exception: RaisedException) { exceptions.append(exception) }

  /// Notes that something cannot be judged; the first such counts.
  mutating func doubt(_ reason: String) { doubt = doubt ?? reason }

  /// UD2 and its kin, and INT3, which compilers put where a program must not go on (SDM vol. 2, UD; INT n).
  private mutating func checkPurpose() {
    switch instruction.mnemonic {
    case "ud0", "ud1", "ud2": raise(RaisedException(.invalidOpcode, .onPurpose))
    case "int1": raise(RaisedException(.debug, .onPurpose))
    case "int3": checkTrap(.breakpoint)
    case "into": if state.rflags.contains(.overflow) { checkTrap(.overflow) }
    case "bound": checkBounds()
    case "rsm": checkSystemManagement()
    default: break
    }
  }

  /// INT3 and INTO go through the IDT as INT n does, and need a gate that CPL may use (SDM vol. 2, INT n). Where there is no IDT, nothing was
  /// meant to handle them.
  private mutating func checkTrap(_ vector: ExceptionVector) {
    guard case .blocked(let obstacle) = HandlerPath(of: vector, at: instant, isSoftware: true),
      obstacle.kind != .idtLimit
    else {
      return raise(RaisedException(vector, .onPurpose))
    }
    raise(RaisedException(obstacle.exception, .undeliverable(.software(vector: vector.rawValue), obstacle)))
  }

  /// A signed index, and two bounds in memory (SDM vol. 2, BOUND).
  private mutating func checkBounds() {
    let explicit = instruction.operands.filter(\.isExplicit)
    let width = instruction.operandWidth / 8
    guard explicit.count == 2, width == 2 || width == 4, let index = value(of: explicit[0]),
      let address = instruction.linearAddress(of: explicit[1], in: state)
    else { return }
    let bytes = instant.bytes(at: address, count: 2 * width, for: PageAccess(.read, by: instant.privilege))
    // What cannot be read is the operand's matter.
    guard bytes.count == 2 * width else { return }
    func signed(_ value: UInt64) -> Int64 {
      width == 2 ? Int64(Int16(truncatingIfNeeded: value)) : Int64(Int32(truncatingIfNeeded: value))
    }
    let (lower, upper) = (signed(UInt64(littleEndian: bytes[..<width])), signed(UInt64(littleEndian: bytes[width...])))
    guard !(lower...max(lower, upper)).contains(signed(index)) || upper < lower else { return }
    raise(RaisedException(.boundRange, .outOfBounds(index: signed(index), lower: lower, upper: upper)))
  }

  /// An x87 instruction that waits raises what one before left pending, if CR0.NE asks for #MF (SDM vol. 3, 6.15; vol. 1, 8.7.1). FSW is not looked at.
  private mutating func checkPendingFloatingPoint() {
    guard instruction.isaExtension == "X87", !Self.withoutWaiting.contains(instruction.mnemonic),
      state.cr0.contains(.numericError)
    else { return }
    raise(
      RaisedException(
        .x87FloatingPoint, .floatingPoint, if: "FSW has an exception pending that FCW does not mask"))
  }

  /// By Zydis' names (SDM vol. 1, 8.3.11).
  private static let withoutWaiting: Set<String> = [
    "fninit", "fnclex", "fnstsw", "fnstcw", "fnstenv", "fnsave", "fnop",
  ]

  /// RSM is there in SMM only (SDM vol. 3, 31.3); TCG: translate.c, 7.2. What it loads lies in the save area, which was not looked at.
  private mutating func checkSystemManagement() {
    switch state.isInSMM {
    case true?: doubt("the state that RSM takes from the save area in SMRAM was not looked at")
    case false?: raise(RaisedException(.invalidOpcode, .notInThisMode))
    case nil: raise(RaisedException(.invalidOpcode, .notInThisMode, if: "the processor is not in SMM"))
    }
  }
}

// MARK: Branches and interrupts

extension InstructionChecks {
  /// A near branch to an address that is not canonical, or beyond the limit of CS, raises #GP at the branch on Intel's processors, and
  /// on AMD's, if not canonical, at the target (SDM vol. 2, JMP; APM vol. 3, JMP). TCG 7.2 knows no limit of CS.
  private mutating func checkBranchTarget() {
    guard state.mode == .long64 else { return checkBranchLimit() }
    guard let paging = instant.paging, let target = branchTarget, !paging.isCanonical(LinearAddress(target)) else {
      return
    }
    raise(.generalProtection(.notCanonical(LinearAddress(target)), if: conditionOfCheckAtBranch))
  }

  private mutating func checkBranchLimit() {
    guard instant.executor != .tcg, let target = branchTarget ?? instruction.branchTarget,
      target & Self.mask(instruction.operandWidth) > UInt64(state.cs.limit)
    else { return }
    let offset = target & Self.mask(instruction.operandWidth)
    raise(
      .generalProtection(
        .segment(.cs, .beyondLimit(offset: offset, limit: state.cs.limit)), if: conditionOfCheckAtBranch))
  }

  private var conditionOfCheckAtBranch: String? {
    let isConditional = instruction.category == "COND_BR"
    if isConditional { return "the branch is taken, and the processor checks the target there" }
    return instant.isAMD == false && instant.executor != .tcg ? nil : "the processor checks the target at the branch"
  }

  /// Where RET, or an indirect JMP or CALL, leads; SYSRET to the address in RCX.
  private var branchTarget: UInt64? {
    switch instruction.mnemonic {
    case "ret" where !instruction.isFarBranch: instruction.memoryOperands.first { $0.isRead }.flatMap(value)
    case "jmp", "call": instruction.isFarBranch ? nil : instruction.operands.first(where: \.isExplicit).flatMap(value)
    case "sysret": state.generalPurpose.rcx
    default: nil
    }
  }

  /// INT n needs a gate with a DPL that CPL may use (SDM vol. 2, INT n); in virtual-8086 mode it may go through no gate.
  private mutating func checkInterrupt() {
    guard instruction.mnemonic == "int",
      case .immediate(let number)? = instruction.operands.first(where: \.isExplicit)?.value
    else { return }
    let vector = UInt8(truncatingIfNeeded: number)
    if state.mode == .virtual8086 {
      switch instant.redirection(of: vector) {
      case .throughGate: break
      case .toProgram: return
      case .unknown(let reason): return doubt(reason)
      }
    }
    switch HandlerPath(of: ExceptionVector(rawValue: vector), at: instant, isSoftware: true) {
    case .clear: break
    case .unknown(let reason): doubt(reason)
    case .blocked(let obstacle):
      raise(RaisedException(obstacle.exception, .undeliverable(.software(vector: vector), obstacle)))
    }
  }
}

// MARK: Features and their enable bits

extension InstructionChecks {
  /// Of the features that the instruction needs, those that the processor lacks. A processor that KVM lets run goes by its
  /// own features; what the guest's CPUID says binds TCG, and KVM where it emulates the instruction.
  private mutating func checkFeatures() {
    guard let requirements = instruction.requirements else { return }
    for group in requirements.features where !group.isEmpty {
      let answers = group.map(instant.has)
      guard answers.allSatisfy({ $0 == false }) else { continue }
      let condition: String? =
        instant.executor == .tcg
        ? nil : "who executes it goes by the guest's CPUID, or the host's processor lacks it too"
      raise(RaisedException(.invalidOpcode, .missingFeature(group), if: condition))
    }
  }

  /// SDM vol. 3, 2.5 (CR0.EM, CR0.TS, CR4), 13.5 (XCR0); vol. 2, table 2-21 and on; APM vol. 2, 3.1.7 (EFER).
  private mutating func checkEnableBits() {
    guard let requirements = instruction.requirements else { return }
    for bit in requirements.enables.intersection(Self.bitsThatGateInstructions).bits where !isExempt(from: bit) {
      let exception = RaisedException(vector(without: bit), .notEnabled(bit))
      guard let value = value(of: bit.register) else {
        if bit.register == .xcr0 {
          raise(RaisedException(exception.vector, exception.reason, if: "\(bit.name) is \(bit.isSet ? 0 : 1)"))
        }
        continue
      }
      if !bit.isEnabled(in: value) { return raise(exception) }
    }
  }

  /// Those without which an instruction is refused. The others change what page tables mean, or how it works.
  private static let bitsThatGateInstructions: EnableBits = [
    .emulationOff, .taskSwitchedOff, .osfxsr, .vmxe, .smxe, .fsgsbase, .osxsave, .kl, .pke, .cet, .uintr, .xcr0SSE,
    .xcr0AVX,
    .xcr0BoundRegisters, .xcr0BoundConfiguration, .xcr0Opmask, .xcr0ZMMHi256, .xcr0Hi16ZMM, .xcr0TileConfiguration,
    .xcr0TileData, .sce, .svme, .mcommit,
  ]

  /// FWAIT does not look at EM, and at TS only with MP (SDM vol. 3, table 2-2). MPX instructions without their state
  /// are NOPs.
  private func isExempt(from bit: EnableBit) -> Bool {
    if instruction.mnemonic == "fwait" {
      return bit.name == "CR0.EM" || !state.cr0.contains(.monitorCoprocessor)
    }
    return instruction.isaSet == "MPX"
  }

  private func value(of register: EnableBit.Register) -> UInt64? {
    switch register {
    case .cr0: state.cr0.rawValue
    case .cr4: state.cr4.rawValue
    case .efer: state.efer?.rawValue
    case .xcr0, .msr: nil
    }
  }

  private func vector(without bit: EnableBit) -> ExceptionVector {
    switch bit.name {
    case "CR0.TS": .deviceNotAvailable
    case "CR0.EM": isX87 ? .deviceNotAvailable : .invalidOpcode
    default: .invalidOpcode
    }
  }

  /// Whether CR0.EM makes it #NM: x87 instructions, not those of MMX and SSE (SDM vol. 3, table 12-1 and 13-1).
  private var isX87: Bool { ["X87", "SSE3X87", "FCMOV"].contains(instruction.isaSet) }
}

// MARK: Arithmetic

extension InstructionChecks {
  /// DIV and IDIV: a divisor of 0, or a quotient that does not fit; AAM, which divides by its operand (SDM vol. 2, DIV, IDIV and AAM).
  private mutating func checkDivision() {
    if instruction.mnemonic == "aam", case .immediate(0)? = instruction.operands.first(where: \.isExplicit)?.value {
      return raise(RaisedException(.divideError, .division(byZero: true)))
    }
    guard ["div", "idiv"].contains(instruction.mnemonic), let operand = instruction.operands.first(where: \.isExplicit),
      let divisor = value(of: operand)
    else { return }
    guard divisor != 0 else { return raise(RaisedException(.divideError, .division(byZero: true))) }
    // The upper half of the dividend: AH, DX, EDX or RDX.
    let (high, bits) =
      instruction.operandWidth == 8
      ? (state.generalPurpose.rax >> 8 & 0xFF, 8) : (state.generalPurpose.rdx, instruction.operandWidth)
    let fits =
      instruction.mnemonic == "div"
      ? high & Self.mask(bits) < divisor
      : Self.fitsSigned(high: high, low: state.generalPurpose.rax, divisor: divisor, bits: bits)
    if !fits { raise(RaisedException(.divideError, .division(byZero: false))) }
  }

  /// Whether the quotient of a signed division fits into `bits` bits, by the magnitudes.
  private static func fitsSigned(high: UInt64, low: UInt64, divisor: UInt64, bits: Int) -> Bool {
    let mask = mask(bits)
    let sign = UInt64(1) << UInt64(bits - 1)
    var (high, low, divisor) = (high & mask, low & mask, divisor & mask)
    let isNegative = (high ^ divisor) & sign != 0
    if high & sign != 0 {
      low = (0 &- low) & mask
      high = (~high &+ (low == 0 ? 1 : 0)) & mask
    }
    if divisor & sign != 0 { divisor = (0 &- divisor) & mask }
    guard high < divisor else { return false }
    // Both halves put into 64 bits where they fit; else the division of 128 bits, whose quotient fits as high < divisor.
    let quotient =
      bits < 64 ? (high << UInt64(bits) | low) / divisor : divisor.dividingFullWidth((high, low)).quotient
    return quotient < sign || isNegative && quotient == sign
  }

  /// The value of a register or of memory, up to 8 bytes; nil where it cannot be had.
  func value(of operand: Operand) -> UInt64? {
    switch operand.value {
    case .register(let register): return register.value(in: state)
    case .immediate(let value): return value
    case .memory:
      guard operand.size <= 8, let address = instruction.linearAddress(of: operand, in: state) else { return nil }
      let bytes = instant.bytes(at: address, count: operand.size, for: PageAccess(.read, by: instant.privilege))
      guard bytes.count == operand.size else { return nil }
      return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    case .branchTarget, .farPointer: return nil
    }
  }

  static func mask(_ bits: Int) -> UInt64 { bits >= 64 ? .max : 1 << UInt64(bits) - 1 }
}
