import X86

/// A cause that is about one page walk.
protocol PageFaultCause: CauseOfDeath {
  var fault: FirstFault { get }
  var access: FailedAccess { get }
  /// The bits of the last entry to mark.
  var offendingBits: UInt64 { get }
  /// What is wrong with it, in a few words.
  var mark: String { get }
}

extension PageFaultCause {
  var walk: WalkAccount? { access.steps.isEmpty ? nil : access.account(marking: offendingBits, mark) }

  var offendingBits: UInt64 { 0 }

  /// Without the tables only the error code speaks, and a more special cause may hide behind it; without the registers
  /// nothing tells whose access it was.
  var isDecided: Bool { !access.steps.isEmpty && !fault.mayBeOfDelivery }

  var place: String { access.address.rawValue.hexadecimal }

  /// `The PDE 0x0 at physical 0x1000`.
  var lastEntry: String {
    guard let step = access.last else { return "an entry of the walk" }
    let at = step.entryAddress.map { " at physical \($0.rawValue.hexadecimal)" } ?? ""
    return "the \(step.structure.entryName) \(step.entry.rawValue.hexadecimal)\(at)"
  }

  /// The entries of the walk of which this is true, as the end of a sentence.
  func entries(where isSo: (PageTableEntry) -> Bool) -> String {
    let found = access.steps.filter { isSo($0.entry) }.map {
      "\($0.structure.entryName) \($0.entry.rawValue.hexadecimal)"
    }
    return found.isEmpty ? "a level of the walk" : found.joined(separator: ", ")
  }

  /// `` `mov rax, [rbx]` reads 0x8 (RBX is 0x8) ``.
  var deed: String {
    let verb =
      switch access.access.kind {
      case .fetch: "is fetched from"
      case .read: "reads"
      case .write: "writes to"
      }
    let name =
      access.access.kind == .fetch
      ? "The next instruction"
      : fault.mayBeOfDelivery
        ? "The instruction, or the delivery of an interrupt or exception at it," : fault.instructionName
    let registers = fault.operand(at: access.address).flatMap(fault.registers).map { " (\($0))" } ?? ""
    return "\(name) \(verb) \(place)\(registers)"
  }
}
