import GuestImage
import X86

/// What the code in front of an instruction has done with the stack, as the guest's image has it.
struct StackUse {
  /// Whether the instruction is a call that leads back to itself.
  private let isRecursive: Bool
  /// The bytes that were pushed in front of the instruction since the function began.
  private let pushed: UInt64
  private let pointer: UInt64

  /// How far a call may lead back.
  private static let longestWay = 4096

  /// Nil where the code is not known.
  init?(_ fault: FirstFault, in scene: Scene) {
    guard let state = fault.state, let instruction = fault.instruction, let image = scene.image,
      let place = image.place(of: state.instructionAddress.rawValue)
    else { return nil }
    pointer = state.generalPurpose.rsp
    let rip = state.instructionAddress.rawValue
    isRecursive =
      instruction.mnemonic == "call"
      && instruction.branchTarget.flatMap { Self.growth(from: $0, to: rip, state, in: scene) } != nil
    let start = image.symbol(containing: place.virtual).map { rip &- $0.offset }
    pushed = start.flatMap { Self.growth(from: $0, to: rip, state, in: scene) } ?? 0
  }

  /// Whether the page above that of `address` was written to before.
  func isProven(above address: LinearAddress) -> Bool {
    guard address.rawValue >> 12 != pointer >> 12 else { return false }
    return isRecursive || pushed > 0
  }

  /// How many bytes straight-line code from `start` to `end` pushes; nil where it branches, sets the stack pointer, or does not lead there.
  private static func growth(from start: UInt64, to end: UInt64, _ state: ProcessorState, in scene: Scene) -> UInt64? {
    guard end &- start <= UInt64(longestWay) else { return nil }
    var pointer = start
    var pushed: UInt64 = 0
    while pointer < end {
      guard let instruction = scene.instructionAsListed(at: pointer, state), !instruction.isBranch else { return nil }
      if instruction.mnemonic == "push" {
        pushed += UInt64(instruction.stackWidth / 8)
      } else if instruction.setsStackPointer {
        return nil
      }
      pointer += UInt64(instruction.length)
    }
    return pointer == end ? pushed : nil
  }
}

extension Instruction {
  fileprivate var isBranch: Bool {
    branchTarget != nil || isFarBranch || ["jmp", "call", "ret"].contains(mnemonic) || mnemonic.hasPrefix("iret")
  }

  /// Whether it gives the stack pointer a value other than by a push or a frame's room.
  fileprivate var setsStackPointer: Bool {
    if mnemonic == "sub" || mnemonic == "and" { return false }
    return operands.contains { operand in
      guard operand.isWrite, case .register(.general(number: 4, _)) = operand.value else { return false }
      return true
    }
  }
}
