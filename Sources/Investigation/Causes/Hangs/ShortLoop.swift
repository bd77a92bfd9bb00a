import GuestImage
import X86

/// A loop around RIP that only looks: at memory, and at devices.
struct ShortLoop {
  let first: Instruction
  /// The branch back.
  let last: Instruction
  /// The devices that it asks, and the locks that it tries to take.
  let accesses: [Access]
  /// Whether all that it reads are variables of its own function: at a distance from RSP or RBP.
  let readsOnlyOwnVariables: Bool

  /// What a loop may ask of a device.
  enum Access: Hashable {
    /// IN from a port.
    case port(UInt16)
    /// A read of a device's register in memory.
    case register(PhysicalAddress)
    /// XCHG, CMPXCHG or BTS of what is in memory, and is not 0: by the custom of such locks, taken.
    case lock(LinearAddress, UInt64)

    var isLock: Bool { if case .lock = self { true } else { false } }
  }

  /// How many bytes a loop may have.
  private static let longest = 96
  /// What a loop that only looks may be made of.
  static let harmless: Set<String> = [
    "mov", "movzx", "movsx", "movsxd", "lea", "cmp", "test", "nop", "pause", "and", "or", "xor", "bt", "in",
  ]

  /// What tries to take a lock, and leaves one that is taken as it is.
  private static let attempts: Set<String> = ["xchg", "cmpxchg", "bts"]

  /// Nil where RIP is in no such loop.
  ///
  /// - Parameter tryingLocks: Whether the loop may try to take locks.
  init?(at instant: Instant, tryingLocks: Bool = false) {
    let harmless = tryingLocks ? Self.harmless.union(Self.attempts) : Self.harmless
    let pointer = instant.state.instructionAddress.rawValue
    guard let onward = Self.path(from: pointer, of: harmless, at: instant), let branch = onward.last,
      let target = branch.branchTarget,
      target <= pointer, pointer - target <= UInt64(Self.longest),
      let whole = Self.path(from: target, of: harmless, at: instant),
      whole.last?.address == branch.address, whole.contains(where: { $0.address == pointer }), let first = whole.first,
      let accesses = Self.accesses(of: whole, at: instant)
    else { return nil }
    self.first = first
    last = branch
    self.accesses = accesses
    let operands = whole.flatMap(\.memoryOperands).filter { $0.memory?.purpose == .access }
    readsOnlyOwnVariables = accesses.isEmpty && !operands.isEmpty && operands.allSatisfy(\.isOwnVariable)
  }

  /// Whether an instruction pointer is one of the loop's.
  func contains(_ pointer: LinearAddress) -> Bool { (first.address...last.address).contains(pointer.rawValue) }

  /// What is executed from `start` on, up to the first branch; nil if it may do more than look.
  private static func path(from start: UInt64, of harmless: Set<String>, at instant: Instant) -> [Instruction]? {
    let bytes = instant.bytes(at: LinearAddress(start), count: longest, for: PageAccess(.fetch, by: .supervisor))
    var offset = 0
    var path: [Instruction] = []
    while offset < bytes.count {
      guard
        let instruction = try? Instruction.decode(
          Array(bytes[offset...]), at: start &+ UInt64(offset), mode: instant.state.mode)
      else { return nil }
      path.append(instruction)
      if let target = instruction.branchTarget {
        guard instruction.mnemonic.hasPrefix("j") else { return nil }
        // A way out that is not taken, with a lock that is not free.
        guard target > instruction.address, instruction.mnemonic != "jmp", harmless.isSuperset(of: attempts) else {
          return path
        }
        offset += instruction.length
        continue
      }
      guard harmless.contains(instruction.mnemonic) else { return nil }
      offset += instruction.length
    }
    return nil
  }

  /// The devices that the instructions ask, and the locks that they try to take; nil where one writes memory otherwise, or reads what is neither RAM nor known to be a device.
  private static func accesses(of path: [Instruction], at instant: Instant) -> [Access]? {
    var accesses: [Access] = []
    for instruction in path {
      if instruction.mnemonic == "in" { accesses.append(.port(port(of: instruction, instant.state))) }
      for operand in instruction.memoryOperands {
        if operand.isWrite {
          guard let lock = lock(instruction, operand, at: instant) else { return nil }
          accesses.append(lock)
          continue
        }
        guard operand.memory?.purpose == .access else { continue }
        guard let address = instruction.linearAddress(of: operand, in: instant.state),
          case .physical(let physical) = instant.translate(address, for: PageAccess(.read, by: instant.privilege))
        else { return nil }
        switch instant.source(at: physical) {
        case .memory: continue
        case .device: accesses.append(.register(physical))
        case .unknown: return nil
        }
      }
    }
    return accesses
  }

  /// The lock that an instruction tries to take; nil where it is free, or the instruction does something else.
  private static func lock(_ instruction: Instruction, _ operand: Operand, at instant: Instant) -> Access? {
    guard attempts.contains(instruction.mnemonic), (1...8).contains(operand.size),
      let address = instruction.linearAddress(of: operand, in: instant.state)
    else { return nil }
    let bytes = instant.bytes(at: address, count: operand.size, for: PageAccess(.write, by: instant.privilege))
    let value = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return bytes.count == operand.size && value != 0 ? .lock(address, value) : nil
  }

  /// The port that an IN reads: its second byte, or DX.
  private static func port(of instruction: Instruction, _ state: ProcessorState) -> UInt16 {
    for operand in instruction.operands {
      if case .immediate(let port) = operand.value { return UInt16(truncatingIfNeeded: port) }
    }
    return UInt16(truncatingIfNeeded: state.generalPurpose.rdx)
  }
}

extension Operand {
  fileprivate var isOwnVariable: Bool {
    guard let memory, memory.index == nil, case .general(let number, _)? = memory.base else { return false }
    return number == 4 || number == 5
  }
}

extension Instant {
  /// What answers at a physical address.
  fileprivate enum Answerer {
    case memory
    case device
    case unknown
  }

  fileprivate func source(at address: PhysicalAddress) -> Answerer {
    do {
      _ = try memory.bytes(at: address, count: 1)
      return .memory
    } catch {
      return error.reason == .device ? .device : .unknown
    }
  }
}
