import GuestImage
import X86

/// The fault that a death began with, and what says so.
struct FirstFault {
  var exception: RaisedException
  /// What recorded the exception; nil where it was only worked out.
  var record: Source?
  /// The instruction that raised it; nil where its bytes are not known.
  var instruction: Instruction?
  /// The processor before the instruction; nil where its registers are not known.
  var instant: Instant?
  /// What is known of the walker.
  var rules: PagingRules
  /// The death in the trace.
  var death: RecordedDeath?
  /// The exception or interrupt that a log shows last before, which was delivered.
  var before: LoggedDelivery?
  /// The same event, as often as a log shows it on top of itself.
  var nesting: Nesting?

  var state: ProcessorState? { instant?.state }

  /// Whether the access may be the processor's own, to a table or a stack while it delivers an interrupt or exception: only
  /// the registers tell it from the instruction's. A fetch and a user's access are the instruction's.
  var mayBeOfDelivery: Bool {
    guard let access = exception.access?.access, instant == nil else { return false }
    return access.kind != .fetch && !access.isUser
  }

  /// The instruction as it begins a sentence.
  var instructionName: String { instruction.map { "`\($0.text)`" } ?? "The instruction" }

  /// The operand at `address`; nil where none is known to be there.
  func operand(at address: LinearAddress) -> Operand? {
    guard let instruction, let state else { return nil }
    return instruction.memoryOperands.first { operand in
      guard let start = instruction.linearAddress(of: operand, in: state) else { return false }
      return address.rawValue &- start.rawValue < UInt64(max(operand.size, 1))
    }
  }

  /// The registers that an operand's address is made of, with their values: `RAX is 0x0`.
  func registers(of operand: Operand) -> String? {
    guard let reference = operand.memory, let state else { return nil }
    let parts = [reference.base, reference.index].compactMap { register -> String? in
      guard let register, let value = register.value(in: state), case .general(let number, _) = register else {
        return nil
      }
      return "\(GeneralPurposeRegisters.names[number]) is \(value.hexadecimal)"
    }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }

  /// Whether the operand at `address` is a place on the stack that the instruction pushes to or pops from.
  func isStackAccess(_ address: LinearAddress) -> Bool {
    guard let operand = operand(at: address), !operand.isExplicit, operand.memory?.segment == .ss else { return false }
    return operand.memory?.base == .general(number: 4, bits: instruction?.stackWidth ?? 64)
  }

  /// Whether an operand that is written relative to RSP, as a function's own variables are, lies near it.
  func isRelativeToStackPointer(_ address: LinearAddress) -> Bool {
    guard let memory = operand(at: address)?.memory, memory.index == nil, let instruction, let state else {
      return false
    }
    return memory.segment == .ss && memory.base == .general(number: 4, bits: instruction.addressWidth)
      && address.rawValue &- state.stackAddress < 0x1000
  }

  /// Whether an instruction that nothing shows writes right where a push would.
  func looksLikePush(_ access: FailedAccess) -> Bool {
    guard instruction == nil, let state, access.access.kind == .write else { return false }
    let width: UInt64 = state.mode == .long64 ? 8 : 4
    return access.address.rawValue == state.stackAddress &- width
  }
}
