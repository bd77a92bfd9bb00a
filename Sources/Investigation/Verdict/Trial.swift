public import QEMU

/// What came of running the guest again with a remedy.
public struct Trial: Hashable, Sendable {
  public enum Result: String, Hashable, Sendable {
    /// The guest ended as one that is done.
    case lived
    /// It had neither died nor hung when its time was over, which may be longer than it lived before.
    case ranOn = "ran-on"
    /// It died or hung as before, at the same instruction.
    case sameDeath = "same-death"
    /// It died or hung of something else.
    case otherDeath = "other-death"
    /// QEMU did not start with it.
    case refused
    /// What became of the guest does not tell whether it lived.
    case undetermined
    /// It was not run; `account` says why.
    case notRun = "not-run"
  }

  /// Which of the verdict's remedies was tried, from 0.
  public var remedy: Int
  /// 0 for the remedy alone, n where n further causes of death were met and their remedies added.
  public var step: Int
  /// What was changed of the command line, each option as it is typed.
  public var changes: [String]
  public var result: Result
  /// What happened and how that is known, in a sentence.
  public var account: String
  /// How long the guest ran, in nanoseconds; nil where it did not.
  public var duration: UInt64?
  /// The last line of the guest's console, where QEMU has that on its standard output.
  public var lastOutput: String?
  /// The verdict on this run, where the guest died or hung of something else.
  public var cause: Cause?
  public var fault: Fault?
  /// What cures that, the surest first.
  public var remedies: [Remedy]

  public init(remedy: Int, step: Int, changes: [String], result: Result, account: String) {
    self.remedy = remedy
    self.step = step
    self.changes = changes
    self.result = result
    self.account = account
    remedies = []
  }
}

extension Trial {
  /// What a run that came to `verdict` shows.
  ///
  /// - Parameters:
  ///   - first: The verdict that the remedy is of.
  ///   - former: The verdicts of the steps before this one.
  public static func result(of verdict: Verdict, _ ending: Ending, on line: QEMUCommandLine, after former: [Verdict])
    -> (result: Result, account: String)
  {
    switch verdict.outcome {
    case .died, .hung:
      let isKnown = former.contains { $0.isSameDeath(as: verdict) }
      return (isKnown ? .sameDeath : .otherDeath, verdict.ending)
    case .ended: return (ending.isOfGuestThatIsDone(on: line) ? .lived : .undetermined, verdict.ending)
    case .undetermined:
      guard ending == .timedOut else { return (.undetermined, verdict.ending) }
      return (.ranOn, "The guest had neither died nor hung when it was stopped.")
    }
  }

  /// Whether the guest lived as long as it was watched.
  public var livedOn: Bool { result == .lived || result == .ranOn }
}

extension Ending {
  /// Whether the guest ended on purpose: an exit of QEMU with another status may be QEMU's own.
  fileprivate func isOfGuestThatIsDone(on line: QEMUCommandLine) -> Bool {
    switch self {
    case .poweredOff, .reset: true
    case .exited(let status): status == 0 || line.debugExitPort != nil && status & 1 == 1
    default: false
    }
  }
}

extension Verdict {
  /// Whether both are on one death: the same cause, at the same instruction. A hang shows no fault; there the words must agree.
  func isSameDeath(as other: Verdict) -> Bool {
    guard outcome == other.outcome, cause?.id == other.cause?.id else { return false }
    if let fault, let otherFault = other.fault {
      return fault.vector == otherFault.vector && fault.instructionPointer == otherFault.instructionPointer
    }
    return fault == nil && other.fault == nil && cause?.summary == other.cause?.summary
  }
}
