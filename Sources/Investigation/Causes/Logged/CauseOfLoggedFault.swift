import X86

/// A cause as far as a log of `-d int` alone tells it, without the registers that the reenactment needs.
protocol CauseOfLoggedFault: JudgedCause {
  /// Nil where the fault has another cause.
  init?(_ fault: LoggedFault, in scene: Scene)
}

extension LoggedFault {
  /// A special case stands before the general one.
  static var causes: [any CauseOfLoggedFault.Type] {
    [
      ReenteredInterrupt.self, WrongRoot.self, LoggedPICNotRemapped.self, LoggedStrayExecution.self,
      LoggedStackOverflow.self, LoggedBadSelector.self, LoggedUndefinedInstruction.self,
      LoggedReservedBit.self, LoggedNonCanonicalAddress.self, LoggedMissingPage.self, LoggedDivideError.self,
    ]
  }

  func cause(in scene: Scene) -> (any CauseOfLoggedFault)? {
    for cause in Self.causes {
      if let found = cause.init(self, in: scene) { return found }
    }
    return nil
  }

  /// The place as the middle of a sentence: ` at 0x1311`.
  var place: String { programCounter.map { " at \($0.hexadecimal)" } ?? "" }
}
