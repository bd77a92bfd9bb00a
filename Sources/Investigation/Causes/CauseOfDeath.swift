/// A cause of death: how it is recognised, how it is explained, what cures it.
///
/// A new one is a file here, its line in ``Causes/all``, a page in docs/causes, a guest in Guests/ and its row in the matrix.
protocol CauseOfDeath {
  /// The stable identifier (`paging.reserved-bit`).
  static var id: String { get }
  static var title: String { get }

  /// Nil where `fault` has another cause.
  init?(_ fault: FirstFault, in scene: Scene)

  /// The identifier of this one, where it depends.
  var id: String { get }
  /// One or two sentences: what is wrong, where, and which rule it breaks.
  var summary: String { get }
  /// Whether `summary` names a cause; if not, it is an observation.
  var isExplained: Bool { get }
  /// Whether no other rule can be the reason.
  var isDecided: Bool { get }
  /// The page walk that failed.
  var walk: WalkAccount? { get }
  /// What cures it, the surest first.
  var remedies: [Remedy] { get }
  /// The facts that decide.
  var evidence: [Evidence] { get }
  /// On what the death hangs besides.
  var circumstances: [Evidence] { get }
}

extension CauseOfDeath {
  var id: String { Self.id }
  var isExplained: Bool { true }
  var isDecided: Bool { true }
  var walk: WalkAccount? { nil }
  var evidence: [Evidence] { [] }
  var circumstances: [Evidence] { [] }
}

/// The causes that are known.
enum Causes {
  /// A special case stands before the general one.
  static var all: [any CauseOfDeath.Type] {
    [

      ReservedBit.self, HostCannotOffer.self, MissingFeature.self, FeatureNotEnabled.self,
      ControlRegisterReservedBit.self,
      UnknownMSR.self, TableOutsideRAM.self, NullCall.self, CodeNotMapped.self, StackOverflow.self, StackNotMapped.self,
      NullPointer.self,
      PageNotMapped.self, SupervisorModeExecutionPrevention.self, SupervisorModeAccessPrevention.self,
      SupervisorPage.self,
      ReadOnlyPage.self, ExecuteDisabledPage.self, ProtectionKey.self, TrapInstruction.self, UndefinedInstruction.self,
      PrivilegedInstruction.self, BadReturnFrame.self, NonCanonicalAddress.self, MisalignedOperand.self,
      DivideError.self,
      SegmentAccess.self, BadCodeSelector.self, BadSelector.self, UndeliverableInterrupt.self,
    ]
  }

  static func cause(of fault: FirstFault, in scene: Scene) -> (any CauseOfDeath)? {
    for cause in all {
      if let found = cause.init(fault, in: scene) { return found }
    }
    return nil
  }
}

extension Remedy {
  /// A change of the guest's own code.
  static func guest(_ change: String, _ reason: String) -> Remedy {
    Remedy(kind: .guest, change: change, reason: reason, available: true)
  }

  /// A change of the host.
  static func host(_ change: String, _ reason: String) -> Remedy {
    Remedy(kind: .host, change: change, reason: reason, available: nil)
  }
}
