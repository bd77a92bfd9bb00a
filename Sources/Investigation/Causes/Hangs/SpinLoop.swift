import GuestImage
import X86

/// `hang.spin`: a loop that waits for what nothing can change.
struct SpinLoop: CauseOfHang, SingleCause {
  static let id = "hang.spin"
  static let title = "A loop that waits for what nothing changes"
  let confidence = Confidence.likely
  private let first: Instruction
  private let last: Instruction

  /// How many bytes a loop may have.
  private static let longest = 96
  /// What a loop that only looks may be made of.
  private static let harmless: Set<String> = [
    "mov", "movzx", "movsx", "movsxd", "lea", "cmp", "test", "nop", "pause", "and", "or", "xor", "bt",
  ]

  /// One processor that runs, with interrupts off, in a loop that reads RAM and writes nothing.
  init?(_ hang: Hang) {
    let running = hang.processors.filter { !ResetObservations.isReset($0.processor.state) }
    guard running.count == 1, let (processor, _) = running.first, !processor.state.rflags.contains(.interruptEnable),
      processor.state.isHalted != true, let loop = Self.loop(at: hang.scene.instant(of: processor))
    else { return nil }
    (first, last) = loop
  }

  /// The instructions from RIP to a branch back to RIP or before it, and from there to RIP again.
  private static func loop(at instant: Instant) -> (Instruction, Instruction)? {
    let pointer = instant.state.instructionAddress.rawValue
    guard let onward = path(from: pointer, at: instant), let branch = onward.last, let target = branch.branchTarget,
      target <= pointer, pointer - target <= UInt64(longest), let whole = path(from: target, at: instant),
      whole.last?.address == branch.address, whole.contains(where: { $0.address == pointer })
    else { return nil }
    return whole.first.map { ($0, branch) }
  }

  /// What is executed from `start` on, up to the first branch; nil if it may do more than look.
  private static func path(from start: UInt64, at instant: Instant) -> [Instruction]? {
    let bytes = instant.bytes(at: LinearAddress(start), count: longest, for: PageAccess(.fetch, by: .supervisor))
    var offset = 0
    var path: [Instruction] = []
    while offset < bytes.count {
      guard
        let instruction = try? Instruction.decode(
          Array(bytes[offset...]), at: start &+ UInt64(offset), mode: instant.state.mode)
      else { return nil }
      path.append(instruction)
      if instruction.branchTarget != nil { return instruction.mnemonic.hasPrefix("j") ? path : nil }
      guard harmless.contains(instruction.mnemonic), onlyLooksAtRAM(instruction, instant) else { return nil }
      offset += instruction.length
    }
    return nil
  }

  /// A device's memory may change; so may what a register that the loop computes points to.
  private static func onlyLooksAtRAM(_ instruction: Instruction, _ instant: Instant) -> Bool {
    instruction.memoryOperands.allSatisfy { operand in
      guard !operand.isWrite else { return false }
      guard operand.memory?.purpose == .access else { return true }
      guard let address = instruction.linearAddress(of: operand, in: instant.state),
        case .physical(let physical) = instant.translate(address, for: PageAccess(.read, by: instant.privilege))
      else { return false }
      return (try? instant.memory.bytes(at: physical, count: 1)) != nil
    }
  }

  var summary: String {
    "The processor runs in a loop from `\(first.text)` at \(first.address.hexadecimal) to `\(last.text)` at \(last.address.hexadecimal), which reads "
      + "memory and writes none. Interrupts are off (RFLAGS.IF is 0) and no other processor runs: nothing but a device's DMA can end it."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "STI before the loop, if an interrupt's handler is to change what it waits for; start the other processors, if one of them is",
        "With interrupts off no handler runs.")
    ]
  }

  static let manual = """
    The only processor that runs is in a short loop that looks at memory until it changes, with interrupts off. The handler, or the processor, that
    was to change it never runs.

    ## Why

    A wait for the timer's tick or for a device's interrupt before STI, or inside a handler or a critical section; a spin lock taken twice by
    the same processor; a wait for further processors that were not started.

    ## The cure

    Turn interrupts on before the wait, or poll the device itself.

    SDM vol. 3, 6.8.1.
    """
}
