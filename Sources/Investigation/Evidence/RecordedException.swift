import KVM
import QEMU
import X86

/// The first event of the chain that ended the guest, an exception or an interrupt, as KVM or TCG recorded it.
struct RecordedException: Hashable {
  var vector: ExceptionVector
  var errorCode: UInt32?
  /// The address of a page fault, where the record shows it.
  var address: LinearAddress?
  /// Whether it was an interrupt from a device: then the vector says nothing of an exception.
  var isInterrupt = false
  var source: Source
}

extension RecordedDeath {
  /// What the triple fault began with; nil where the records do not show it.
  ///
  /// All records of the stretch show the same RIP, so no handler ran in between.
  var firstException: RecordedException? {
    guard kind == .tripleFault, !mayHaveBeenHandled else { return nil }
    for record in records {
      switch record.event {
      case .injectException(.doubleFault, _, _): return nil
      case .injectException(let vector, let code, _):
        return RecordedException(
          vector: vector, errorCode: code, source: .trace(event: "kvm_inj_exception", time: record.time))
      case .injectInterrupt(let vector, isSoft: false, _):
        return RecordedException(
          vector: ExceptionVector(rawValue: vector), isInterrupt: true,
          source: .trace(event: "kvm_inj_virq", time: record.time))
      default: continue
      }
    }
    return nil
  }
}

extension Scene {
  /// What a triple fault in a log of `-d int` began with; nil where the log does not show it.
  ///
  /// TCG logs each event that it tries to deliver with its instruction's address: those of one instruction that stand together
  /// are one chain. INT n is in the log too.
  var loggedException: RecordedException? {
    guard let end = log.lastIndex(where: \.value.endsChain) else { return nil }
    var first: (index: Int, interrupt: InterruptLog)?
    for (index, entry) in log[...end].enumerated().reversed() {
      guard case .interrupt(let interrupt) = entry.value else { continue }
      guard interrupt.isSoftware != true, interrupt.programCounter != nil,
        first == nil || first?.interrupt.programCounter == interrupt.programCounter
      else { break }
      first = (index, interrupt)
    }
    guard let (index, interrupt) = first else { return nil }
    let isInterrupt = log[..<index].last.map { $0.value.announces(interrupt.vector) } ?? false
    guard isInterrupt || interrupt.vector != .doubleFault else { return nil }
    return RecordedException(
      vector: interrupt.vector, errorCode: interrupt.vector.hasErrorCode ? interrupt.errorCode : nil,
      address: interrupt.vector == .pageFault ? interrupt.cr2.map { LinearAddress($0) } : nil,
      isInterrupt: isInterrupt, source: log[index].source)
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

  /// Whether it says that a device's interrupt of this vector is about to be delivered.
  fileprivate func announces(_ vector: ExceptionVector) -> Bool {
    if case .hardwareInterrupt(vector.rawValue, _) = self { return true }
    return false
  }
}
