import X86

/// `interrupt.handler-not-mapped`: an exception or interrupt was delivered, and its handler's first instruction cannot be fetched.
struct HandlerNotMapped: CauseOfDeath {
  static let manuals: [ManualPage] = []

  private let fault: FirstFault
  /// The vectors whose gates lead there.
  private let vectors: [ExceptionVector]
  /// Whether the upper half of such a gate looks like a gate itself.
  private let hasShortGates: Bool
  /// The event whose handler it is, by a log; nil where the gates tell.
  private let delivered: LoggedDelivery?

  init?(_ fault: FirstFault, in scene: Scene) {
    guard fault.isOfFetch, let instant = fault.instant else { return nil }
    let pointer = instant.state.instructionAddress
    if scene.memory == nil, let before = fault.before, before.enters(instant.state) {
      (self.fault, delivered, vectors, hasShortGates) = (fault, before, [before.vector], false)
      return
    }
    delivered = nil
    vectors = (0...UInt8.max).map { ExceptionVector(rawValue: $0) }.filter {
      HandlerPath.target(of: $0, at: instant) == pointer
    }
    guard !vectors.isEmpty else { return nil }
    self.fault = fault
    hasShortGates = vectors.allSatisfy { HandlerPath.hasShortGates(at: $0, instant) }
  }

  /// On a stack of its own, a handler is told from other code only by the registers.
  var isDecided: Bool { delivered.map { $0.stackPointerInHandler == fault.state?.generalPurpose.rsp } ?? true }

  private var obstacle: HandlerObstacle { hasShortGates ? .gateType : .handlerNotMapped }

  var id: String { obstacle.rawValue }
  var title: String { hasShortGates ? "The IDT has gates of protected mode" : obstacle.title }

  var walk: WalkAccount? {
    fault.exception.access.flatMap { $0.steps.isEmpty ? nil : $0.account(marking: 0, "not present") }
  }

  private var names: String {
    vectors.count > 4 ? "\(vectors.count) vectors" : vectors.map(\.name).joined(separator: ", ")
  }

  private var reason: String {
    guard let access = fault.exception.access else { return "which is not canonical" }
    guard let step = access.last else { return "which is not mapped" }
    return "which cannot be fetched (the \(step.structure.entryName) \(step.entry.rawValue.hexadecimal))"
  }

  /// What the log shows to have been delivered right before.
  private func words(_ event: LoggedDelivery, _ pointer: String) -> String {
    let name = event.isOfDevice ? "Hardware interrupt \(event.vector.rawValue.hexadecimal)" : event.vector.name
    let stack =
      event.stackPointerInHandler == fault.state?.generalPurpose.rsp ? "lower by its frame" : "another stack's"
    return
      "\(name) at \(event.pointer.hexadecimal) was delivered: RSP is \(stack), and no other register has changed. Its handler's first instruction, "
      + "at \(pointer), cannot be fetched: \(fault.exception.name)."
  }

  var summary: String {
    let pointer = (fault.state?.instructionAddress.rawValue ?? 0).hexadecimal
    if let delivered { return words(delivered, pointer) }
    let beginning = "RIP is \(pointer), where the IDT's gate of \(names) leads, \(reason)"
    guard hasShortGates else {
      return "\(beginning). An event was delivered, and its handler's first instruction faults."
    }
    return
      "\(beginning). The upper half of that gate looks like a gate itself: the IDT is filled with gates of 8 bytes, as protected mode has "
      + "them, and in long mode a gate has 16."
  }

  var remedies: [Remedy] {
    hasShortGates
      ? [
        .guest(
          "fill the IDT with gates of 16 bytes, with bits 63 to 32 of the offset in the third doubleword",
          "SDM vol. 3, 6.14.1.")
      ]
      : [
        .guest(
          "put the handler's address as it is now into the gate, all three parts of it, and map it executable in every address space",
          "The processor jumps to whatever the gate says.")
      ]
  }
}
