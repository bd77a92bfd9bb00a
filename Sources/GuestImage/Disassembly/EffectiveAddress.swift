public import X86

extension Instruction {
  /// The linear address of the first byte of `operand`, which must be one of this instruction's, with the registers
  /// that `state` has before the instruction.
  ///
  /// For a string instruction it is the address of the first iteration. Limits, rights and whether the address is
  /// canonical are not judged.
  ///
  /// - Returns: Nil if the operand is not memory or not at one address (a gather), if `state` lacks a register, and
  ///   for stack operands whose place takes more than one step: those of ENTER and of far calls.
  public func linearAddress(of operand: Operand, in state: ProcessorState) -> LinearAddress? {
    guard let reference = operand.memory, reference.purpose != .severalAddresses else { return nil }
    guard let adjustment = adjustment(of: operand, in: state) else { return nil }
    guard let base = part(reference.base, in: state), let index = part(reference.index, in: state) else { return nil }
    let offset =
      base &+ index &* UInt64(reference.scale) &+ UInt64(bitPattern: reference.displacement) &+ adjustment
    return linearAddress(
      offset: offset & mask(bits: offsetWidth(of: operand)), in: reference.segment, of: state)
  }

  /// Segmentation (SDM vol. 3, 3.4 and 3.4.4): the base is added; outside 64-bit mode the sum has 32 bits; in 64-bit
  /// mode only FS and GS have a base.
  private func linearAddress(offset: UInt64, in segment: SegmentRegister, of state: ProcessorState) -> LinearAddress {
    guard mode == .long64 else { return LinearAddress((state[segment].base &+ offset) & 0xFFFF_FFFF) }
    let hasBase = segment == .fs || segment == .gs
    return LinearAddress(hasBase ? state[segment].base &+ offset : offset)
  }

  /// The value of a base or index; 0 where there is none. The instruction pointer counts from the next instruction.
  private func part(_ register: Register?, in state: ProcessorState) -> UInt64? {
    guard let register else { return 0 }
    if case .instructionPointer(let bits) = register { return (address &+ UInt64(length)) & mask(bits: bits) }
    return register.value(in: state)
  }

  /// Offsets wrap at the address width, those of the implied stack slot at the stack width (SDM vol. 1, 3.6.1, 6.2.3).
  private func offsetWidth(of operand: Operand) -> Int {
    isImpliedStack(operand) ? stackWidth : addressWidth
  }

  private func isImpliedStack(_ operand: Operand) -> Bool {
    guard !operand.isExplicit, let reference = operand.memory, reference.segment == .ss else { return false }
    return reference.base == .general(number: 4, bits: stackWidth)
  }

  /// What Zydis leaves out of an address: the stack pointer's movement, and the bit offset in a register.
  private func adjustment(of operand: Operand, in state: ProcessorState) -> UInt64? {
    if isImpliedStack(operand) {
      guard operand.isWrite else { return 0 }
      guard isSimplePush else { return nil }
      return 0 &- UInt64(operand.size)
    }
    return popAdjustment(of: operand) ?? bitOffsetAdjustment(of: operand, in: state)
  }

  /// Whether the only thing the instruction does to the stack pointer is to lower it by what it writes.
  private var isSimplePush: Bool {
    category == "PUSH" || category == "CALL" && !isFarBranch
  }

  /// POP to memory forms its address with the stack pointer after it rose (SDM vol. 2, POP).
  private func popAdjustment(of operand: Operand) -> UInt64? {
    guard mnemonic == "pop", operand.isExplicit, case .general(number: 4, _) = operand.memory?.base else { return nil }
    return UInt64(operand.size)
  }

  /// BT, BTC, BTR and BTS with a register reach outside the operand that ModRM names: by the signed bit offset, in whole
  /// operands (SDM vol. 2, BT; vol. 1, figure 3-2).
  private func bitOffsetAdjustment(of operand: Operand, in state: ProcessorState) -> UInt64? {
    guard category == "BITBYTE", mnemonic.hasPrefix("bt"), operands.count > 1,
      case .register(let register) = operands[1].value
    else { return 0 }
    guard let value = register.value(in: state) else { return nil }
    let signed = Int64(bitPattern: value << UInt64(64 - operandWidth)) >> Int64(64 - operandWidth)
    let shift: Int64 = operandWidth == 16 ? 4 : operandWidth == 32 ? 5 : 6
    return UInt64(bitPattern: (signed >> shift) &* Int64(operandWidth / 8))
  }
}
