import KVM
import QEMU
import X86

/// The first event of the chain that ended the guest, an exception or an interrupt, as KVM or TCG recorded it.
struct RecordedException: Hashable {
  var vector: ExceptionVector
  var errorCode: UInt32?
  /// The address of a page fault, where the record shows it.
  var address: LinearAddress?
  /// What it was, where it was no exception: an interrupt from a device, or INT n.
  var event: InterruptEvent?
  /// What was raised while it was being delivered, where a log tells.
  var obstacle: HandlerPath.Obstacle?
  var source: Source
}

extension RecordedDeath {
  /// The exception that the triple fault began with; nil where the records do not show it.
  ///
  /// All records of the stretch show the same RIP, so no handler ran in between; where no record shows RIP, as on kvm_pvm, it
  /// takes a fetch that succeeds to tell that one did; or a second contributory exception, which would be #DF
  /// if the first had not been delivered.
  var firstException: RecordedException? {
    guard kind == .tripleFault, !mayHaveBeenHandled else { return nil }
    let interrupt = records.lastIndex {
      if case .injectInterrupt(_, isSoft: false, _) = $0.event { true } else { false }
    }
    let fetch = RecordedWalk.walks(in: records).last { $0.access.contains(.fetch) && $0.error == nil }?.lastRecord
    var first: RecordedException?
    for record in records[max(interrupt ?? 0, fetch ?? 0)...] {
      guard case .injectException(let vector, let code, let isReinjected) = record.event else { continue }
      if let first {
        guard !isReinjected, first.vector.exceptionClass == .contributory, vector.exceptionClass == .contributory else {
          continue
        }
      } else if vector == .doubleFault {
        return nil
      }
      first = RecordedException(
        vector: vector, errorCode: code, source: .trace(event: "kvm_inj_exception", time: record.time))
    }
    return first
  }

  /// The device's interrupt that came last; those before it at the same RIP, in a loop that waits, had a handler.
  var lastInterrupt: RecordedException? {
    guard kind == .tripleFault, !mayHaveBeenHandled else { return nil }
    for record in records.reversed() {
      guard case .injectInterrupt(let vector, isSoft: false, _) = record.event else { continue }
      return RecordedException(
        vector: ExceptionVector(rawValue: vector), event: .hardware(vector: vector),
        source: .trace(event: "kvm_inj_virq", time: record.time))
    }
    return nil
  }
}

extension Scene {
  /// What a triple fault in a log of `-d int` began with; nil where the log does not show it.
  var loggedException: RecordedException? { loggedChain.map(RecordedException.init) }

  /// Where a log ends with an exception that the IDT of the dump behind it has no gate for, nor for #GP and #DF: then the triple fault is
  /// certain, whether or not the log shows it.
  var undeliverableException: Int? {
    guard let index = log.lastIndex(where: { if case .interrupt = $0.value { true } else { false } }),
      case .interrupt(let interrupt) = log[index].value,
      let state = processors.first?.state, state.mode != .real,
      interrupt.instructionPointer == state.rip || interrupt.programCounter == state.instructionAddress.rawValue
    else { return nil }
    let table = InterruptDescriptorTable(register: state.idtr, isLongModeActive: state.isLongModeActive)
    let isGone = [interrupt.vector, .generalProtection, .doubleFault].allSatisfy { !table.contains($0) }
    return isGone ? index : nil
  }
}

extension RecordedException {
  fileprivate init(_ chain: LoggedChain) {
    let first = chain.first
    vector = first.vector
    errorCode = first.vector.hasErrorCode ? first.interrupt.errorCode : nil
    address = first.vector == .pageFault ? first.interrupt.cr2.map { LinearAddress($0) } : nil
    event = first.event
    obstacle = event == nil ? nil : chain.obstacle
    source = first.source
  }
}
