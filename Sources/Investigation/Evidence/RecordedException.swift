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
  /// What was raised while it was being delivered, where a log tells.
  var obstacle: HandlerPath.Obstacle?
  var source: Source
}

extension RecordedDeath {
  /// The exception that the triple fault began with; nil where the records do not show it.
  ///
  /// All records of the stretch show the same RIP, so no handler ran in between.
  var firstException: RecordedException? {
    guard kind == .tripleFault, !mayHaveBeenHandled else { return nil }
    let start = records.lastIndex { if case .injectInterrupt(_, isSoft: false, _) = $0.event { true } else { false } }
    for record in records[(start ?? records.startIndex)...] {
      guard case .injectException(let vector, let code, _) = record.event else { continue }
      guard vector != .doubleFault else { return nil }
      return RecordedException(
        vector: vector, errorCode: code, source: .trace(event: "kvm_inj_exception", time: record.time))
    }
    return nil
  }

  /// The device's interrupt that came last; those before it at the same RIP, in a loop that waits, had a handler.
  var lastInterrupt: RecordedException? {
    guard kind == .tripleFault, !mayHaveBeenHandled else { return nil }
    for record in records.reversed() {
      guard case .injectInterrupt(let vector, isSoft: false, _) = record.event else { continue }
      return RecordedException(
        vector: ExceptionVector(rawValue: vector), isInterrupt: true,
        source: .trace(event: "kvm_inj_virq", time: record.time))
    }
    return nil
  }
}

extension Scene {
  /// What a triple fault in a log of `-d int` began with; nil where the log does not show it.
  ///
  /// TCG logs each event that it tries to deliver, with its instruction's address. One that was handled leaves no mark, so that
  /// only those before it count which the next shows not to have been: a device's interrupt begins a chain, and so does an
  /// exception that nothing says was raised while another was delivered. INT n is in the log too.
  var loggedException: RecordedException? {
    guard let end = log.lastIndex(where: \.value.isShutdown) ?? undeliverableException else { return nil }
    var first: (index: Int, interrupt: InterruptLog)?
    var second: InterruptLog?
    for (index, entry) in log[...end].enumerated().reversed() {
      guard case .interrupt(let interrupt) = entry.value else { continue }
      guard interrupt.isSoftware != true, interrupt.programCounter != nil,
        first.map({ follows($0, interrupt) }) ?? true
      else { break }
      second = first?.interrupt
      first = (index, interrupt)
      if isHardware(interrupt, at: index) { break }
    }
    guard let (index, interrupt) = first else { return nil }
    let isInterrupt = isHardware(interrupt, at: index)
    guard isInterrupt || interrupt.vector != .doubleFault else { return nil }
    return RecordedException(
      vector: interrupt.vector, errorCode: interrupt.vector.hasErrorCode ? interrupt.errorCode : nil,
      address: interrupt.vector == .pageFault ? interrupt.cr2.map { LinearAddress($0) } : nil,
      isInterrupt: isInterrupt, obstacle: second.flatMap { obstacle(of: interrupt.vector, by: $0) },
      source: log[index].source)
  }

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

  /// What kept an event from its handler, as far as the exception that came of it tells: a #GP may be of the limit, the type or an
  /// empty entry.
  private func obstacle(of vector: ExceptionVector, by second: InterruptLog) -> HandlerPath.Obstacle? {
    let code = second.errorCode.hexadecimal
    switch second.vector {
    case .segmentNotPresent where second.errorCode & 2 != 0:
      return HandlerPath.Obstacle(
        kind: .gateNotPresent, words: "its gate is not present (#NP, \(code))",
        remedy: "give it a gate with P set (bit 47)",
        exception: .segmentNotPresent)
    case .pageFault:
      let address = (second.cr2 ?? 0).hexadecimal
      return HandlerPath.Obstacle(
        kind: .idtNotMapped, words: "its gate at \(address) cannot be read (#PF, \(code))",
        remedy: "map the IDT in every address space", exception: .pageFault)
    case .generalProtection where second.errorCode & 2 != 0 && (8...15).contains(vector.rawValue):
      return HandlerPath.Obstacle(
        kind: .noHandler, words: "its IDT entry is no gate for it (#GP, \(code))",
        remedy: "give the vector a gate and a handler",
        exception: .generalProtection)
    default: return nil
    }
  }

  private func isHardware(_ interrupt: InterruptLog, at index: Int) -> Bool {
    log[..<index].last.map { $0.value.announces(interrupt.vector) } ?? false
  }

  /// Whether `later` was raised while `earlier` was being delivered.
  private func follows(_ later: (index: Int, interrupt: InterruptLog), _ earlier: InterruptLog) -> Bool {
    guard later.interrupt.programCounter == earlier.programCounter else { return false }
    // `check_exception old: 0xd new 0xd` stands in front of what comes of the two.
    if case .exceptionCheck(let old, _)? = log[..<later.index].last?.value, let old { return old == earlier.vector }
    switch later.interrupt.vector {
    case .generalProtection, .segmentNotPresent, .stackFault, .invalidTSS:
      // Bit 1: the index is of the IDT (SDM vol. 3, 6.13). TCG 7.2 counts it in gates of 8 bytes in long mode too, two for each
      // (measured: 82H for vector 8).
      let code = later.interrupt.errorCode
      guard code & 2 != 0 else { return later.interrupt.vector != .generalProtection }
      let vector = UInt32(earlier.vector.rawValue)
      return code >> 3 == vector || code >> 4 == vector
    case .pageFault:
      guard let address = later.interrupt.cr2, let table = processors.first?.state.idtr else { return false }
      return address &- table.base.rawValue <= UInt64(table.limit)
    default: return false
    }
  }
}

extension QEMUMessage {
  /// Whether it says that a device's interrupt of this vector is about to be delivered.
  fileprivate func announces(_ vector: ExceptionVector) -> Bool {
    if case .hardwareInterrupt(vector.rawValue, _) = self { return true }
    return false
  }
}
