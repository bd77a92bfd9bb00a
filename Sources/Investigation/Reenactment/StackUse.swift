import GuestImage
import X86

/// What the code in front of an instruction has done with the stack, as the guest's image has it.
struct StackUse {
  /// Addresses that were pushed to right before; empty where the code does not tell.
  private let pushed: [UInt64]

  /// How far a call may lead back.
  private static let longestWay: UInt64 = 4096

  /// Nil where the code is not known.
  init?(_ fault: FirstFault, in scene: Scene) {
    guard let state = fault.state, let instruction = fault.instruction, let image = scene.image,
      let place = image.place(of: state.instructionAddress.rawValue)
    else { return nil }
    let rip = state.instructionAddress.rawValue
    let pointer = state.stackAddress
    // A call that leads back to itself has pushed its return address before.
    let recursion = instruction.mnemonic == "call" ? instruction.branchTarget : nil
    let function = image.symbol(containing: place.virtual).map { rip &- $0.offset }
    pushed = [
      recursion.flatMap { Self.depth(from: $0, to: rip, hasPushed: true, state, in: scene) },
      function.flatMap { Self.depth(from: $0, to: rip, hasPushed: false, state, in: scene) },
    ].compactMap(\.self).map { pointer &+ $0 }
  }

  /// Whether a page above that of `address` was written to before.
  func isProven(above address: LinearAddress) -> Bool { pushed.contains { $0 >> 12 > address.rawValue >> 12 } }

  /// How far above the stack pointer at `end` the last word lies that straight-line code from `start` pushed; nil where it branches, sets the stack
  /// pointer, pushes nothing, or does not lead there.
  private static func depth(
    from start: UInt64, to end: UInt64, hasPushed: Bool, _ state: ProcessorState, in scene: Scene
  ) -> UInt64? {
    guard end &- start <= longestWay else { return nil }
    var pointer = start
    var depth: UInt64? = hasPushed ? 0 : nil
    while pointer < end {
      guard let instruction = scene.instructionAsListed(at: pointer, state), !instruction.leaves(before: end) else {
        return nil
      }
      if instruction.mnemonic == "push" {
        depth = 0
      } else if let room = instruction.stackRoom {
        depth = depth.map { $0 &+ room }
      } else if instruction.setsStackPointer {
        return nil
      }
      pointer &+= UInt64(instruction.length)
    }
    return pointer == end ? depth : nil
  }
}

extension Instruction {
  /// Whether it may not go on to the next instruction, and be before `end` all the same: a branch, but for a condition that leads beyond.
  fileprivate func leaves(before end: UInt64) -> Bool {
    if mnemonic.hasPrefix("j"), mnemonic != "jmp", let branchTarget, branchTarget > end { return false }
    return branchTarget != nil || isFarBranch || ["jmp", "call", "ret"].contains(mnemonic) || mnemonic.hasPrefix("iret")
  }

  /// The bytes that it takes from the stack for a function's variables: SUB of an immediate.
  fileprivate var stackRoom: UInt64? {
    guard mnemonic == "sub", case .register(.general(number: 4, _))? = operands.first?.value,
      case .immediate(let room)? = operands.dropFirst().first?.value
    else { return nil }
    return room
  }

  /// Whether it gives the stack pointer a value other than by a push or a frame's room.
  fileprivate var setsStackPointer: Bool {
    operands.contains { operand in
      guard operand.isWrite, case .register(.general(number: 4, _)) = operand.value else { return false }
      return true
    }
  }
}
