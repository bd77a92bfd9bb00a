/// A cause of death: how it is recognised, how it is explained, what cures it.
///
/// A new one is a file here, its line in ``Causes/all``, a guest in Guests/ and its row in the matrix; `make docs` writes its page.
protocol CauseOfDeath {
  /// The pages of the manual: one for most, one for each kind where there are several.
  static var manuals: [ManualPage] { get }

  /// Nil where `fault` has another cause.
  init?(_ fault: FirstFault, in scene: Scene)

  /// The stable identifier (`paging.reserved-bit`).
  var id: String { get }
  var title: String { get }
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
  var isExplained: Bool { true }
  var isDecided: Bool { true }
  var walk: WalkAccount? { nil }
  var evidence: [Evidence] { [] }
  var circumstances: [Evidence] { [] }
}

/// A cause of death with one identifier.
protocol SingleCause {
  /// The stable identifier (`paging.reserved-bit`).
  static var id: String { get }
  static var title: String { get }
  /// The text of the manual page, in Markdown.
  static var manual: String { get }
  /// The identifiers of the causes of which this is a special case (``ManualPage/refines``).
  static var refines: [String] { get }
}

extension SingleCause {
  static var refines: [String] { [] }
  static var manuals: [ManualPage] { [ManualPage(id: id, title: title, text: manual, refines: refines)] }
  var id: String { Self.id }
  var title: String { Self.title }
}

/// The causes that are known.
enum Causes {
  /// The manual: a page for each cause, in the order of their names.
  static var manual: [ManualPage] {
    (all.flatMap { $0.manuals } + Hang.causes.flatMap { $0.manuals } + FetchOutsideMemory.manuals
      + LongModeTablesInPAE.manuals + CodeOfOtherMode.manuals + KernelCutShort.manuals + KernelWithoutRoom.manuals
      + GuestPanic.manuals
      + UnsupportedEmulation.manuals + ReportedFailure.causes.flatMap { $0.manuals }
      + RefusedEmulation.manuals + LoggedFault.causes.flatMap { $0.manuals })
      .sorted {
        $0.id < $1.id
      }
  }

  /// A special case stands before the general one.
  static var all: [any CauseOfDeath.Type] {
    [

      MisloadedImage.self, OverwrittenCode.self, ExecutingFirmwareData.self, EmptyRoot.self, ReservedBit.self,
      UnseenReservedBit.self,
      HostCannotOffer.self,
      MissingFeature.self,
      FeatureNotEnabled.self,
      ControlRegisterReservedBit.self,
      UnknownMSR.self, TableOutsideRAM.self, ExecutingZeroes.self, StrayExecution.self, SyscallTarget.self,
      FastCallNotSetUp.self, HandlerNotMapped.self,
      NullCall.self, TableIndexOverflow.self, CodeNotMapped.self, HandlerReentered.self, ReturnThroughLowStack.self,
      StackOverflow.self, StackNotMapped.self,
      NullPointer.self,
      PageNotMapped.self, SupervisorModeExecutionPrevention.self, SupervisorModeAccessPrevention.self,
      SupervisorPage.self,
      ReadOnlyPage.self, ExecuteDisabledPage.self, ProtectionKey.self, ForbiddenAccess.self,
      TrapInstruction.self, DebugException.self, UndefinedInstruction.self,
      PrivilegedInstruction.self, BadReturnFrame.self, NonCanonicalStack.self, NonCanonicalAddress.self,
      MisalignedOperand.self,
      DivideError.self, FloatingPointError.self,
      SegmentAccess.self, TaskNotSwitchable.self, CallGateStack.self, BadCodeSelector.self, BadSelector.self,
      PICNotRemapped.self,
      UndeliverableInterrupt.self,
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
  /// An option of QEMU as it is typed, which replaces or comes after those of its name.
  static func option(_ name: String, _ value: String, _ reason: String, available: Bool?) -> Remedy {
    var remedy = Remedy(kind: .commandLine, change: "\(name) \(value)", reason: reason, available: available)
    remedy.option = [name, value]
    return remedy
  }

  /// A change of the guest's own code.
  static func guest(_ change: String, _ reason: String) -> Remedy {
    Remedy(kind: .guest, change: change, reason: reason, available: true)
  }

  /// A change of the host.
  static func host(_ change: String, _ reason: String) -> Remedy {
    Remedy(kind: .host, change: change, reason: reason, available: nil)
  }
}
