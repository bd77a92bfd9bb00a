import X86

/// What becomes of an exception: whether the processor reaches a handler for it, or shuts down on the way (SDM vol. 3, 6.12 to
/// 6.15).
struct Delivery {
  /// How it ends.
  enum End {
    /// No handler can be reached for the exception, nor for those that follow from that: the processor shuts down.
    case tripleFault
    /// A handler is reached.
    case delivered
    /// What is known does not decide it.
    case undetermined
  }

  private(set) var steps: [Evidence] = []
  /// What stood in the way, for each exception in turn.
  private(set) var obstacles: [(vector: ExceptionVector, obstacle: HandlerPath.Obstacle)] = []
  private(set) var end = End.undetermined

  /// Delivers `first`, and what comes up in its place (``X86/ExceptionVector/interrupted(by:)``).
  init(of first: ExceptionVector, at instant: Instant) {
    var vector = first
    var instant = instant
    // Each exception in turn is of a higher class, or a page fault at another place: four suffice to reach the end.
    for _ in 0..<4 {
      switch HandlerPath(of: vector, at: instant) {
      case .clear(let handler):
        end = .delivered
        note("\(vector.name) reaches its handler at \(handler.rawValue.hexadecimal)")
        return
      case .unknown(let reason):
        note("whether \(vector.name) can be delivered is not known: \(reason)")
        return
      case .blocked(let obstacle):
        obstacles.append((vector, obstacle))
        let next = vector.interrupted(by: obstacle.exception)
        note("\(vector.name) cannot be delivered: \(obstacle.words); \(next?.name ?? "a triple fault") follows")
        guard let next else {
          end = .tripleFault
          return
        }
        vector = next
        if let context = obstacle.context { instant = instant.with(context) }
      }
    }
  }

  /// The addresses of page faults on the way, which write CR2.
  var faultingAddresses: [LinearAddress] { obstacles.compactMap(\.obstacle.access?.address) }

  private mutating func note(_ text: String) { steps.append(Evidence(text, .reenactment)) }
}
