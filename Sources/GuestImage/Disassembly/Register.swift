public import X86

/// A register that an instruction names.
public enum Register: Hashable, Sendable {
  /// RAX to R15 and their parts: `number` in the order of their encoding, `bits` 8 (the low byte), 16, 32 or 64.
  case general(number: Int, bits: Int)
  /// AH, CH, DH or BH: `number` is that of the register whose second byte it is, 0 to 3.
  case highByte(number: Int)
  case instructionPointer(bits: Int)
  case segment(SegmentRegister)
  case control(number: Int)
  case debug(number: Int)
  case flags
  /// Any other, by Zydis' name for it, such as `xmm0` or `gdtr`.
  case other(name: String)
}

/// A segment register, in the order of their encoding.
public enum SegmentRegister: Int, Hashable, Sendable, CaseIterable {
  case es, cs, ss, ds, fs, gs
}

extension Register {
  /// What `state` says the register holds, cut to the register's width; nil where the state does not have it.
  ///
  /// The instruction pointer is that of the state, which is the one before the instruction.
  public func value(in state: ProcessorState) -> UInt64? {
    switch self {
    case .general(let number, let bits): state.generalPurpose[number].map { $0 & mask(bits: bits) }
    case .highByte(let number): state.generalPurpose[number].map { $0 >> 8 & 0xFF }
    case .instructionPointer(let bits): state.rip & mask(bits: bits)
    case .segment(let register): UInt64(state[register].selector.rawValue)
    case .control(0): state.cr0.rawValue
    case .control(2): state.cr2
    case .control(3): state.cr3
    case .control(4): state.cr4.rawValue
    case .flags: state.rflags.rawValue
    case .control, .debug, .other: nil
    }
  }
}

extension ProcessorState {
  /// The segment that `register` holds.
  public subscript(register: SegmentRegister) -> Segment {
    get {
      switch register {
      case .es: es
      case .cs: cs
      case .ss: ss
      case .ds: ds
      case .fs: fs
      case .gs: gs
      }
    }
    set {
      switch register {
      case .es: es = newValue
      case .cs: cs = newValue
      case .ss: ss = newValue
      case .ds: ds = newValue
      case .fs: fs = newValue
      case .gs: gs = newValue
      }
    }
  }
}

extension GeneralPurposeRegisters {
  /// The register with this number in the order of the encoding; nil outside 0 to 15, where nothing is set.
  public subscript(number: Int) -> UInt64? {
    get {
      switch number {
      case 0: rax
      case 1: rcx
      case 2: rdx
      case 3: rbx
      case 4: rsp
      case 5: rbp
      case 6: rsi
      case 7: rdi
      case 8: r8
      case 9: r9
      case 10: r10
      case 11: r11
      case 12: r12
      case 13: r13
      case 14: r14
      case 15: r15
      default: nil
      }
    }
    set {
      guard let newValue else { return }
      switch number {
      case 0: rax = newValue
      case 1: rcx = newValue
      case 2: rdx = newValue
      case 3: rbx = newValue
      case 4: rsp = newValue
      case 5: rbp = newValue
      case 6: rsi = newValue
      case 7: rdi = newValue
      case 8: r8 = newValue
      case 9: r9 = newValue
      case 10: r10 = newValue
      case 11: r11 = newValue
      case 12: r12 = newValue
      case 13: r13 = newValue
      case 14: r14 = newValue
      case 15: r15 = newValue
      default: break
      }
    }
  }
}

/// A value whose low `bits` bits are set.
func mask(bits: Int) -> UInt64 {
  bits >= 64 ? .max : (1 << UInt64(max(bits, 0))) - 1
}
