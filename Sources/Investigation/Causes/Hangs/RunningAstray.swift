import X86

/// `execution.zeroes` or `execution.outside-ram` of a guest that still ran when its time was over: it need not hang, and does nothing that was meant.
struct RunningAstray: JudgedCause {
  /// What is executed that is no code.
  enum Place {
    case zeroes
    case outside(UnavailableMemory)

    /// The cause whose page tells of it.
    var cause: (id: String, title: String) {
      switch self {
      case .zeroes: (ExecutingZeroes.id, ExecutingZeroes.title)
      case .outside: (FetchOutsideMemory.id, FetchOutsideMemory.title)
      }
    }
  }

  private let pointer: LinearAddress
  private let place: Place

  /// How many bytes before RIP and from it on are looked at.
  private static let half = 32

  /// Nil unless a processor is among zeroes, or where there is no memory, in protected or 64-bit mode.
  init?(_ scene: Scene) {
    guard [.timedOut, .stalled, .stopped].contains(scene.ending) else { return nil }
    let found = scene.processors.lazy.compactMap { Self.place(of: scene.instant(of: $0)) }.first
    guard let found else { return nil }
    (pointer, place) = found
  }

  /// Nil where there may be code.
  static func place(of instant: Instant) -> (LinearAddress, Place)? {
    let state = instant.state
    guard state.mode != .real, state.mode != .virtual8086, state.isHalted != true else { return nil }
    let pointer = state.instructionAddress
    if let outside = NextInstruction(at: instant).outsideMemory { return (pointer, .outside(outside)) }
    let start = LinearAddress(pointer.rawValue &- UInt64(half))
    let bytes = instant.bytes(at: start, count: 2 * half, for: PageAccess(.read, by: .supervisor))
    guard bytes.count == 2 * half, bytes.allSatisfy({ $0 == 0 }) else { return nil }
    return (pointer, .zeroes)
  }

  var id: String { place.cause.id }
  var title: String { place.cause.title }

  var summary: String {
    let address = pointer.rawValue.hexadecimal
    switch place {
    case .zeroes:
      return
        "The bytes around RIP (\(address)) are zeroes, which are `add [rax], al` to the processor: it was executing empty memory when it was stopped."
    case .outside(let memory):
      return
        "RIP is \(address), which is physical \(memory.address.rawValue.hexadecimal), where there is no memory that holds code: so the processor was when it was stopped."
    }
  }

  var remedies: [Remedy] {
    [
      .guest(
        "find out what jumped there: an entry point or a segment that was not loaded where it belongs, a physical address taken for a virtual one, a bad pointer, a return address that was overwritten",
        "No code that is meant lies there.")
    ]
  }
}
