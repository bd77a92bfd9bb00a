import GuestImage
import X86

/// A handler of an exception that does no more than return to where it came from: it may save and restore registers, and tell the interrupt
/// controller that it has ended.
///
/// Of a fault that is the instruction that raised it (SDM vol. 3, 6.5), so that everything is as it was.
struct ReturningHandler {
  let entry: LinearAddress
  /// What is executed, IRET the last.
  private(set) var code: [Instruction] = []

  /// How many instructions are followed.
  private static let longest = 40

  /// What a place of the stack, or a register, holds.
  private enum Content: Hashable {
    /// What a general-purpose register held at the entry.
    case register(Int)
    case segment(SegmentRegister)
    case other
  }

  private var registers = (0..<16).map(Content.register)
  private var segments = Dictionary(uniqueKeysWithValues: SegmentRegister.allCases.map { ($0, Content.segment($0)) })
  /// What was pushed onto the frame.
  private var stack: [Content] = []
  private let width: Int

  /// Nil where the handler is not known, may do more, or returns otherwise.
  init?(of vector: ExceptionVector, at instant: Instant) {
    let mode: ProcessorMode
    switch instant.state.mode {
    case .real: (mode, width) = (.real, 16)
    case .protected(bits: 32): (mode, width) = (.protected(bits: 32), 32)
    case .long64, .compatibility: (mode, width) = (.long64, 64)
    default: return nil
    }
    guard vector.isFault, case .clear(let handler) = HandlerPath(of: vector, at: instant) else { return nil }
    entry = handler
    if vector.hasErrorCode, mode != .real { stack.append(.other) }
    var address = handler.rawValue
    while code.count < Self.longest {
      let bytes = instant.bytes(at: LinearAddress(address), count: 15, for: PageAccess(.fetch, by: .supervisor))
      guard let instruction = try? Instruction.decode(bytes, at: address, mode: mode) else { return nil }
      code.append(instruction)
      if instruction.mnemonic.hasPrefix("iret") {
        guard instruction.operandWidth == width, isAsAtEntry else { return nil }
        return
      }
      guard take(instruction) else { return nil }
      address &+= UInt64(instruction.length)
    }
    return nil
  }

  /// Whether an address is one of the handler's.
  func contains(_ address: LinearAddress) -> Bool {
    guard let last = code.last else { return false }
    return (entry.rawValue...last.address).contains(address.rawValue)
  }

  private var isAsAtEntry: Bool {
    stack.isEmpty && registers.indices.allSatisfy { registers[$0] == .register($0) }
      && segments.allSatisfy { $0.value == .segment($0.key) }
  }

  /// The order in which PUSHA and PUSHAD push, RSP among them (SDM vol. 2, PUSHA).
  private static let pushed = [0, 1, 2, 3, 4, 5, 6, 7]

  /// Follows one instruction; false where it may do more than is followed.
  private mutating func take(_ instruction: Instruction) -> Bool {
    switch instruction.mnemonic {
    case "nop", "cld", "cli", "out": return true
    case "in": return write(instruction.operands.first)
    case "push": return push(instruction)
    case "pop": return pop(instruction)
    case "pusha", "pushad": return pushAll(instruction)
    case "popa", "popad": return popAll(instruction)
    case "mov": return write(instruction.operands.first)
    case "xor" where instruction.memoryOperands.isEmpty: return write(instruction.operands.first)
    case "add": return drop(instruction)
    default: return false
    }
  }

  private mutating func push(_ instruction: Instruction) -> Bool {
    guard instruction.operandWidth == width || instruction.bytes.count == 1,
      let operand = instruction.operands.first(where: \.isExplicit)
    else { return false }
    stack.append(content(of: operand))
    return true
  }

  private mutating func pop(_ instruction: Instruction) -> Bool {
    guard instruction.operandWidth == width || instruction.bytes.count == 1,
      let operand = instruction.operands.first(where: \.isExplicit), let top = stack.popLast()
    else { return false }
    switch operand.value {
    case .register(.general(let number, width)) where number != 4: registers[number] = top
    case .register(.segment(let segment)): segments[segment] = top
    default: return false
    }
    return true
  }

  private mutating func pushAll(_ instruction: Instruction) -> Bool {
    guard instruction.operandWidth == width else { return false }
    stack += Self.pushed.map { $0 == 4 ? .other : registers[$0] }
    return true
  }

  private mutating func popAll(_ instruction: Instruction) -> Bool {
    guard instruction.operandWidth == width, stack.count >= Self.pushed.count else { return false }
    for number in Self.pushed.reversed() {
      let top = stack.removeLast()
      if number != 4 { registers[number] = top }
    }
    return true
  }

  /// ADD to the stack pointer, which drops what was pushed.
  private mutating func drop(_ instruction: Instruction) -> Bool {
    let explicit = instruction.operands.filter(\.isExplicit)
    guard explicit.count == 2, case .register(.general(number: 4, bits: width)) = explicit[0].value,
      case .immediate(let count) = explicit[1].value, count % UInt64(width / 8) == 0,
      count / UInt64(width / 8) <= UInt64(stack.count)
    else { return false }
    stack.removeLast(Int(count / UInt64(width / 8)))
    return true
  }

  /// Something is written to a register; false where it is the stack pointer, or memory.
  private mutating func write(_ operand: Operand?) -> Bool {
    switch operand?.value {
    case .register(.general(let number, _)) where number != 4: registers[number] = .other
    case .register(.highByte(let number)): registers[number] = .other
    case .register(.segment(let segment)) where segment != .ss && segment != .cs: segments[segment] = .other
    default: return false
    }
    return true
  }

  private func content(of operand: Operand) -> Content {
    switch operand.value {
    case .register(.general(let number, width)) where number != 4: registers[number]
    case .register(.segment(let segment)): segments[segment] ?? .other
    default: .other
    }
  }
}

extension ExceptionVector {
  /// Whether the return address is the instruction that raised it (SDM vol. 3, table 6-1): #DB may be a trap.
  fileprivate var isFault: Bool {
    switch self {
    case .divideError, .boundRange, .invalidOpcode, .deviceNotAvailable, .invalidTSS, .segmentNotPresent, .stackFault,
      .generalProtection, .pageFault, .alignmentCheck:
      true
    default: false
    }
  }
}
