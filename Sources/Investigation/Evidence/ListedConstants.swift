import GuestImage
import X86

/// What registers and places in memory hold after listed instructions, as far as these put constants there.
///
/// An offset of DS counts as its linear address: a flat segment is taken for granted.
struct ListedConstants {
  /// The low bits of a register or a place, as many as are known.
  private struct Known {
    var value: UInt64
    var bits: Int

    /// The low `count` bits; nil where fewer are known.
    func low(_ count: Int) -> UInt64? {
      guard count <= bits else { return nil }
      return count >= 64 ? value : value & (1 << UInt64(count) - 1)
    }
  }

  private var registers: [Int: Known] = [:]
  private var memory: [UInt64: Known] = [:]

  /// The low `bits` of the general register `number`; nil where they are not known.
  func register(_ number: Int, bits: Int = 64) -> UInt64? { registers[number]?.low(bits) }

  mutating func take(_ instruction: Instruction) {
    let constant = Self.constant(of: instruction) ?? copied(by: instruction)
    for operand in instruction.operands where operand.isWrite { forget(operand, of: instruction) }
    guard let target = instruction.operands.first, target.isWrite, let constant else { return }
    switch target.value {
    case .register(.general(let number, let bits)): put(constant, bits: bits, inRegister: number)
    case .memory:
      guard let place = instruction.fixedAddress(of: target) else { return }
      memory[place] = Known(value: constant, bits: target.size * 8)
    default: return
    }
  }

  /// A write of 32 bits clears the upper half.
  private mutating func put(_ constant: UInt64, bits: Int, inRegister number: Int) {
    let known = Known(value: constant, bits: bits)
    registers[number] = known.low(bits).map { Known(value: $0, bits: bits >= 32 ? 64 : bits) }
  }

  private mutating func forget(_ operand: Operand, of instruction: Instruction) {
    switch operand.value {
    case .register(.general(let number, _)), .register(.highByte(let number)): registers[number] = nil
    case .memory:
      guard let place = instruction.fixedAddress(of: operand) else { return memory.removeAll() }
      let end = place &+ UInt64(operand.size)
      memory = memory.filter { $0.key >= end || $0.key &+ UInt64($0.value.bits / 8) <= place }
    default: return
    }
  }

  /// What MOV or MOVZX take from a register or a place that is known.
  private func copied(by instruction: Instruction) -> UInt64? {
    guard ["mov", "movzx"].contains(instruction.mnemonic), instruction.operands.count >= 2 else { return nil }
    let source = instruction.operands[1]
    switch source.value {
    case .register(.general(let number, let bits)): return register(number, bits: bits)
    case .memory: return instruction.fixedAddress(of: source).flatMap { memory[$0]?.low(source.size * 8) }
    default: return nil
    }
  }

  /// What MOV, LEA with RIP, or XOR of a register with itself puts into its first operand.
  private static func constant(of instruction: Instruction) -> UInt64? {
    guard instruction.operands.count >= 2 else { return nil }
    let source = instruction.operands[1]
    switch (instruction.mnemonic, source.value) {
    case ("mov", .immediate(let value)): return value
    case ("xor", _): return source.value == instruction.operands[0].value ? 0 : nil
    case ("lea", .memory): return source.memory?.base == nil ? nil : instruction.fixedAddress(of: source)
    default: return nil
    }
  }
}

extension Instruction {
  /// The address of an operand that depends on no general register; nil for others, and for those of FS and GS.
  fileprivate func fixedAddress(of operand: Operand) -> UInt64? {
    guard let reference = operand.memory, reference.index == nil, ![.fs, .gs].contains(reference.segment) else {
      return nil
    }
    let displacement = UInt64(bitPattern: reference.displacement)
    switch reference.base {
    case nil: return displacement
    case .instructionPointer?: return address &+ UInt64(length) &+ displacement
    default: return nil
    }
  }
}
