import KVM
import QEMU
import X86

/// The first exception of the chain that ended the guest, as KVM or TCG recorded it.
struct RecordedException: Hashable {
  var vector: ExceptionVector
  var errorCode: UInt32?
  var source: Source
}

extension RecordedDeath {
  /// The exception that the triple fault began with; nil where the records do not show it.
  ///
  /// All records of the stretch show the same RIP, so no handler ran in between.
  var firstException: RecordedException? {
    guard kind == .tripleFault, !mayHaveBeenHandled else { return nil }
    for record in records {
      guard case .injectException(let vector, let code, _) = record.event else { continue }
      guard vector != .doubleFault else { return nil }
      return RecordedException(
        vector: vector, errorCode: code, source: .trace(event: "kvm_inj_exception", time: record.time))
    }
    return nil
  }
}

extension Scene {
  /// The exception that a triple fault in a log of `-d int` began with; nil where the log has none.
  ///
  /// TCG logs each exception that it tries to deliver with its instruction's address: those of one instruction that
  /// stand together are one chain. Hardware interrupts and INT n are in the log too.
  var loggedException: RecordedException? {
    guard let end = log.lastIndex(where: \.value.endsChain) else { return nil }
    var first: RecordedException?
    var place: UInt64?
    for entry in log[...end].reversed() {
      guard case .interrupt(let interrupt) = entry.value else { continue }
      guard interrupt.isSoftware != true, let counter = interrupt.programCounter, place == nil || place == counter
      else { break }
      place = counter
      first = RecordedException(
        vector: interrupt.vector, errorCode: interrupt.vector.hasErrorCode ? interrupt.errorCode : nil,
        source: entry.source)
    }
    return first?.vector == .doubleFault ? nil : first
  }
}

extension QEMUMessage {
  /// Whether TCG says that the processor shuts down.
  fileprivate var endsChain: Bool {
    switch self {
    case .tripleFault: true
    case .exceptionCheck(let old, _): old == .doubleFault
    default: false
    }
  }
}
