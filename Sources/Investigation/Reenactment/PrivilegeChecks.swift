import GuestImage
import X86

extension InstructionChecks {
  /// What CPL 0 alone may do, and what IOPL, CR4 and the TSS permit the others (SDM vol. 3, 5.9 and 21.2; vol. 1, 19.5).
  mutating func checkPrivilege() {
    let level = instant.currentPrivilegeLevel
    guard level > 0 else { return }
    if instruction.isPrivileged || isForbiddenByCR4(level) {
      return raise(.generalProtection(.privilege(currentPrivilegeLevel: level)))
    }
    if state.mode == .virtual8086 { return checkVirtual8086() }
    guard level > state.rflags.ioPrivilegeLevel else { return }
    switch instruction.mnemonic {
    // With CR4.PVI, CPL 3 has virtual interrupts instead (SDM vol. 3, 20.4).
    case "cli", "sti":
      if state.cr4.isDisjoint(with: [.protectedVirtualInterrupts, .virtual8086Extensions]) {
        raise(.generalProtection(.privilege(currentPrivilegeLevel: level)))
      }
    default: checkPort()
    }
  }

  /// RDTSC with CR4.TSD, RDPMC without CR4.PCE, and the stores of system registers with CR4.UMIP (SDM vol. 3, 2.5).
  private func isForbiddenByCR4(_ level: Int) -> Bool {
    switch instruction.mnemonic {
    case "rdtsc", "rdtscp": state.cr4.contains(.timeStampDisable)
    case "rdpmc": !state.cr4.contains(.performanceCounterEnable)
    case "sgdt", "sidt", "sldt", "smsw", "str": state.cr4.contains(.userModeInstructionPrevention)
    default: false
    }
  }

  /// With IOPL below 3 what touches IF raises #GP, for the monitor to carry it out; CR4.VME lets the processor do it where the operands have
  /// 16 bits (SDM vol. 3, 21.2.7 and 21.3.3). Ports go by the bit map alone.
  private mutating func checkVirtual8086() {
    guard state.rflags.ioPrivilegeLevel < 3 else { return checkPort() }
    let refusal = RaisedException.generalProtection(.privilege(currentPrivilegeLevel: 3))
    // TCG has no virtual-8086 mode extensions (target/i386/tcg/translate.c: check_iopl, check_vm86_iopl, 7.2).
    let hasExtensions = state.cr4.contains(.virtual8086Extensions) && instant.executor != .tcg
    switch instruction.mnemonic {
    case "pushfd", "popfd", "iretd": raise(refusal)
    case "cli", "pushf", "iret", "sti", "popf":
      guard hasExtensions else { return raise(refusal) }
      guard !["cli", "pushf"].contains(instruction.mnemonic) else { return }
      doubt("whether a virtual interrupt is pending (VIP), or TF is set, was not worked out")
    case "int":
      guard hasExtensions else { return raise(refusal) }
      guard case .immediate(let number)? = instruction.operands.first(where: \.isExplicit)?.value else { return }
      switch instant.redirection(of: UInt8(truncatingIfNeeded: number)) {
      case .throughGate: raise(refusal)
      case .toProgram: break
      case .unknown(let reason): doubt(reason)
      }
    default: checkPort()
    }
  }

  // MARK: Ports

  /// IN, OUT, INS and OUTS, which the TSS has to permit.
  private mutating func checkPort() {
    guard let width = portWidth else { return }
    guard let port = port(of: instruction.mnemonic) else { return doubt("the port is not known") }
    switch PortPermission(of: port, count: width, at: instant) {
    case .allowed: break
    case .unknown(let reason):
      raise(
        .generalProtection(
          .port(port, "it forbids that, though nothing here shows its I/O permission bit map"),
          if: "the TSS forbids the port (\(reason))"))
    case .refused(let reason): raise(.generalProtection(.port(port, reason)))
    }
  }

  /// How many ports the instruction uses: one for each byte; nil if it is none of those.
  private var portWidth: Int? {
    switch instruction.mnemonic {
    case "in", "out": max(instruction.operandWidth / 8, 1)
    case "insb", "outsb": 1
    case "insw", "outsw": 2
    case "insd", "outsd": 4
    default: nil
    }
  }

  private func port(of mnemonic: String) -> UInt16? {
    for operand in instruction.operands {
      if case .immediate(let value) = operand.value { return UInt16(truncatingIfNeeded: value & 0xFF) }
    }
    return UInt16(truncatingIfNeeded: state.generalPurpose.rdx)
  }
}

/// Whether the TSS lets a program use ports (SDM vol. 1, 19.5.2; TCG: target/i386/tcg/seg_helper.c, helper_check_io, 7.2).
enum PortPermission {
  case allowed
  /// Why not, as a clause.
  case refused(String)
  case unknown(String)

  init(of port: UInt16, count: Int, at instant: Instant) {
    let task = instant.state.tr
    guard task.attributes.contains(.present), [9, 11].contains(task.attributes.type), task.limit >= 103 else {
      self = .refused("TR holds no TSS that has an I/O permission bit map")
      return
    }
    guard let base = Self.word(at: 102, of: task, instant) else {
      self = .unknown("the I/O map base in the TSS is not known")
      return
    }
    // Two bytes are read, for ports whose bits lie in both: the second must be within the limit, too.
    let offset = UInt64(base) + UInt64(port / 8)
    guard offset + 1 <= UInt64(task.limit) else {
      self = .refused(
        "the I/O permission bit map of the TSS begins at \(UInt64(base).hexadecimal) and ends with the TSS, at \(UInt64(task.limit).hexadecimal), before the port's bits"
      )
      return
    }
    guard let bits = Self.word(at: offset, of: task, instant) else {
      self = .unknown("the I/O permission bit map of the TSS is not known")
      return
    }
    let mask = (UInt16(1) << UInt16(count) - 1) << (port & 7)
    self = bits & mask == 0 ? .allowed : .refused("its bit is set in the I/O permission bit map of the TSS")
  }

  private static func word(at offset: UInt64, of task: Segment, _ instant: Instant) -> UInt16? {
    let bytes = instant.bytes(at: LinearAddress(task.base &+ offset), count: 2, for: instant.implicitRead)
    return bytes.count == 2 ? UInt16(littleEndian: bytes[...]) : nil
  }
}

/// Where INT n of virtual-8086 mode goes.
enum InterruptRedirection {
  /// Through the IDT, or to the monitor by #GP.
  case throughGate
  /// To the program's own vectors at 0.
  case toProgram
  case unknown(String)
}

extension Instant {
  /// With CR4.VME, the TSS's bit map of 32 bytes below the I/O permission bit map tells: a bit that is clear sends the vector to the program
  /// (SDM vol. 3, 21.3.3). TCG does not have that.
  func redirection(of vector: UInt8) -> InterruptRedirection {
    guard state.cr4.contains(.virtual8086Extensions), executor != .tcg else { return .throughGate }
    let access = implicitRead
    let base = bytes(at: LinearAddress(state.tr.base &+ 102), count: 2, for: access)
    guard base.count == 2 else { return .unknown("the I/O map base in the TSS is not known") }
    let place = UInt64(littleEndian: base[...]) &- 32 &+ UInt64(vector / 8)
    guard place <= UInt64(state.tr.limit) else { return .throughGate }
    let byte = bytes(at: LinearAddress(state.tr.base &+ place), count: 1, for: access)
    guard let bits = byte.first else { return .unknown("the interrupt redirection bit map in the TSS is not known") }
    return bits & 1 << (vector & 7) == 0 ? .toProgram : .throughGate
  }
}
