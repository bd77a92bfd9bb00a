import X86

/// `interrupt.handler-not-mapped`: an exception was delivered, and its handler's first instruction cannot be fetched.
struct HandlerNotMapped: PageFaultCause {
  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present"
  /// The vectors whose gates lead there.
  private let vectors: [ExceptionVector]

  static let manuals: [ManualPage] = []

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.access.kind == .fetch, let instant = fault.instant,
      access.address == instant.state.instructionAddress
    else { return nil }
    vectors = (0..<32).map { ExceptionVector(rawValue: $0) }.filter {
      HandlerPath.target(of: $0, at: instant) == access.address
    }
    guard !vectors.isEmpty else { return nil }
    (self.fault, self.access) = (fault, access)
  }

  var id: String { HandlerObstacle.handlerNotMapped.rawValue }
  var title: String { HandlerObstacle.handlerNotMapped.title }

  var summary: String {
    let names =
      vectors.count > 4 ? "\(vectors.count) exceptions" : vectors.map(\.name).joined(separator: ", ")
    return
      "RIP is \(place), where the IDT's gate of \(names) leads, and that cannot be fetched: \(lastEntry) is not present. An exception was "
      + "delivered, and its handler's first instruction faults again."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "map the handlers executable in every address space, and check the offsets in the gates",
        "The offset has three parts.")
    ]
  }
}
