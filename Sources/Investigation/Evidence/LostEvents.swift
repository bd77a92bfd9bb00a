import KVM

/// Events that a recorder met and that the kernel could not write down.
public struct LostEvents: Hashable, Sendable {
  public var count: UInt64
  /// How many were met, those included.
  public var met: UInt64
  /// Whether ``Scene/traceHoles`` has each place where some are missing.
  public var areAllPlaced: Bool

  public init(count: UInt64, of met: UInt64, areAllPlaced: Bool) {
    self.count = count
    self.met = met
    self.areAllPlaced = areAllPlaced
  }
}

extension Scene {
  /// The trace since events were last lost.
  var traceSinceLoss: ArraySlice<KVMRecord> { trace.dropFirst(traceHoles.max() ?? 0) }

  /// Whether something may have come before the first event of a death that is not in the trace.
  func mayHaveLostItsBeginning(_ death: RecordedDeath) -> Bool {
    death.followsLoss || lostEvents?.areAllPlaced == false
  }

  /// What is missing of the trace, and what that means for a death.
  func lossObservations(_ death: RecordedDeath?) -> [Evidence] {
    let counted = lostEvents.map { lost in
      let place =
        lost.areAllPlaced ? "" : "; nothing says where, so that some may be missing between any two of those recorded"
      return Evidence(
        "The kernel lost \(lost.count) of the \(lost.met) events of KVM that the recorder met\(place)",
        .host("perf's count of lost events"))
    }
    guard let hole = traceHoles.filter({ $0 < trace.count }).max() else { return [counted].compactMap(\.self) }
    let meaning =
      death?.followsLoss == true
      ? "what led to the death may have begun among those that are missing"
      : "what happened there is not known"
    let seen = Evidence(
      "Events were lost before the last \(trace.count - hole) of the trace: \(meaning)",
      .trace(event: "the first event behind the loss", time: trace[hole].time))
    return [counted, seen].compactMap(\.self)
  }
}
