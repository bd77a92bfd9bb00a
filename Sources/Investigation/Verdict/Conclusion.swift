import KVM
import QEMU
import X86

/// Whether the guest died, and what says so.
struct Conclusion {
  var outcome: Outcome
  /// One sentence.
  var sentence: String
  /// What says so; empty where it is only the absence of anything else.
  var evidence: [Evidence] = []
  /// Whether a triple fault was recorded, rather than concluded from the registers.
  var recordsTripleFault = false
  /// Whether KVM failed to emulate an instruction: an internal error, suberror 1.
  var isFailedEmulation = false
  /// Whether the guest died of a triple fault, as far as anything tells.
  var isTripleFault = false
  /// Whether a triple fault is only what is left when all else was excluded.
  var isSupposedTripleFault = false
  /// Whether nothing at all tells of an end.
  var isSilent = false
}

extension Scene {
  /// What QEMU's own words say of the guest's end; nil where they do not decide it.
  ///
  /// A reset is not yet a death: QEMU reports a triple fault and a reset that the guest asked for alike
  /// (accel/kvm/kvm-all.c: kvm_cpu_exec, 7.2).
  var loggedConclusion: Conclusion? { loggedDeath ?? survivableErrors ?? endingByItself }

  /// What the trace says of it.
  func conclusion(_ death: RecordedDeath) -> Conclusion {
    let source = Source.trace(event: "kvm_userspace_exit", time: death.records.last?.time)
    switch death.kind {
    case .tripleFault:
      return Conclusion(
        outcome: .died, sentence: "The guest died of a triple fault.",
        evidence: [Evidence("KVM_EXIT_SHUTDOWN: a triple fault", source)], recordsTripleFault: true,
        isTripleFault: true)
    case .internalError:
      return Conclusion(
        outcome: .died, sentence: "KVM gave up on the guest: an internal error.",
        evidence: [Evidence("KVM_EXIT_INTERNAL_ERROR", source)] + internalErrors, isFailedEmulation: lastSuberror == 1)
    case .failedEntry:
      return Conclusion(
        outcome: .died, sentence: "KVM could not enter the guest.", evidence: [Evidence("KVM_EXIT_FAIL_ENTRY", source)])
    }
  }

  private var loggedDeath: Conclusion? {
    if let entry = log.last(where: \.value.isShutdown) {
      return Conclusion(
        outcome: .died, sentence: "The guest died of a triple fault.",
        evidence: [Evidence("QEMU logged a triple fault", entry.source)],
        recordsTripleFault: true, isTripleFault: true)
    }
    if let entry = log.last(where: \.value.isTripleFaultElsewhere) {
      return Conclusion(
        outcome: .died, sentence: "The guest died of a triple fault.",
        evidence: [
          Evidence(
            "\(entry.value.isOfWindows ? "Windows' hypervisor" : "Its monitor or emulator, not QEMU,") says so",
            entry.source)
        ],
        recordsTripleFault: true, isTripleFault: true)
    }
    if let exit = statement(.shutdownExit), processors.contains(where: { !ResetObservations.isReset($0.state) }) {
      return Conclusion(
        outcome: .died, sentence: "The guest died of a triple fault.",
        evidence: [Evidence("KVM_EXIT_SHUTDOWN: a triple fault", exit.source)], recordsTripleFault: true,
        isTripleFault: true)
    }
    if !internalErrors.isEmpty, !areOnlyOfUserPrograms {
      return Conclusion(
        outcome: .died, sentence: "KVM gave up on the guest: an internal error.", evidence: internalErrors,
        isFailedEmulation: lastSuberror == 1)
    }
    if let failure = log.compactMap(\.fatality).last {
      return Conclusion(
        outcome: .died, sentence: failure.text,
        evidence: [failure])
    }
    if let index = undeliverableException, ending == .unknown {
      return Conclusion(
        outcome: .died,
        sentence: "The guest died of a triple fault: the IDT has no gate for the exception that the log ends with.",
        evidence: [
          Evidence("The IDT's limit leaves no gate for the exception, for #GP and for #DF", log[index].source)
        ],
        recordsTripleFault: true, isTripleFault: true)
    }
    return fatalStatement.map { statement in
      Conclusion(
        outcome: .died, sentence: "QEMU gave up, or did not start the guest: \(statement.value.text.prefix(160))",
        evidence: [Evidence(statement.value.text, statement.source)])
    }
  }

  /// Whether every internal error is a failed emulation at CPL 3, after which QEMU lets the guest go on: KVM has injected
  /// #UD (target/i386/kvm/kvm.c: kvm_arch_stop_on_emulation_error, 7.2).
  private var areOnlyOfUserPrograms: Bool {
    var isPending = false
    for entry in log {
      switch entry.value {
      case .kvmInternalError(let error):
        guard !isPending, error.suberror == 1 else { return false }
        isPending = true
      case .registerDump(let dump) where isPending:
        guard let state = dump.state, state.cr0.contains(.protectionEnable),
          state.cs.selector.requestedPrivilegeLevel == 3
        else { return false }
        isPending = false
      default: continue
      }
    }
    return !isPending
  }

  /// What a log alone says of such errors.
  private var survivableErrors: Conclusion? {
    guard ending == .unknown, !internalErrors.isEmpty else { return nil }
    return Conclusion(
      outcome: .undetermined,
      sentence:
        "KVM could not emulate an instruction of a user program. QEMU lets the guest go on after that; how it ended, "
        + "nothing here shows.", evidence: internalErrors, isFailedEmulation: true)
  }

  private var lastSuberror: Int? {
    for entry in log.reversed() {
      if case .kvmInternalError(let error) = entry.value { return error.suberror }
    }
    return nil
  }

  /// KVM's internal errors, the last of each kind: a guest that goes on after one may make it for ever.
  private var internalErrors: [Evidence] {
    var errors: [(suberror: Int, count: Int, source: Source)] = []
    for entry in log {
      guard case .kvmInternalError(let error) = entry.value else { continue }
      let before = errors.firstIndex { $0.suberror == error.suberror }.map { errors.remove(at: $0).count } ?? 0
      errors.append((error.suberror, before + 1, entry.source))
    }
    return errors.map { error in
      let name = error.suberror == 1 ? " (emulation failure)" : ""
      let times = error.count > 1 ? ", \(error.count) times" : ""
      return Evidence("KVM internal error, suberror \(error.suberror)\(name)\(times)", error.source)
    }
  }

  private var endingByItself: Conclusion? {
    switch ending {
    case .exited(let status): exit(status)
    case .poweredOff:
      Conclusion(
        outcome: .ended,
        sentence: "The guest turned itself off\(powerOffWords.map { " \($0)" } ?? "").\(placeInFirmware)")
    case .stopped: Conclusion(outcome: .ended, sentence: "The guest was stopped from outside.")
    case .timedOut:
      Conclusion(outcome: .undetermined, sentence: "The guest had not ended when the time limit was reached.")
    case .stalled: Conclusion(outcome: .undetermined, sentence: "The guest runs.")
    case .paused: Conclusion(outcome: .undetermined, sentence: "QEMU paused the guest.")
    case .silent(let silence): Conclusion(outcome: .undetermined, sentence: Self.sentence(of: silence))
    case .signalled(let signal):
      Conclusion(
        outcome: .undetermined, sentence: Self.sentence(signal: signal),
        evidence: lastWords.map { [Evidence("QEMU's last words: \($0.value)", $0.source)] } ?? [])
    case .panicked:
      Conclusion(
        outcome: .died,
        sentence:
          "The guest says that it panicked (\(panicInformation == nil ? "pvpanic" : "Hyper-V's crash registers")).")
    case .internalError: Conclusion(outcome: .died, sentence: "KVM gave up on the guest: an internal error.")
    case .shutDown where powerOffWords != nil:
      Conclusion(
        outcome: .ended,
        sentence: "The guest turned itself off\(powerOffWords.map { " \($0)" } ?? "").\(placeInFirmware)")
    case .reset, .shutDown, .unknown: nil
    }
  }

  /// QEMU exits in the same way for a guest that is done and for a signal that it was sent (softmmu/runstate.c: qemu_kill_report, 7.2).
  private func exit(_ status: Int) -> Conclusion {
    if let ended = statement(.terminating) {
      return Conclusion(
        outcome: .ended, sentence: "QEMU was ended from outside.",
        evidence: [Evidence("QEMU says: \(ended.value.text)", ended.source)])
    }
    return Conclusion(
      outcome: .ended, sentence: "The guest ended by itself; QEMU's status is \(status)\(debugExit(status)).")
  }

  /// What the guest wrote to isa-debug-exit if that ended QEMU: the device makes the status `value << 1 | 1`
  /// (hw/misc/debugexit.c: debug_exit_write, 7.2). QEMU's own status for an error, 1, looks like 0.
  private func debugExit(_ status: Int) -> String {
    guard commandLine?.debugExitPort != nil, status & 1 == 1 else { return "" }
    return ", which is what isa-debug-exit makes of \(status >> 1)"
  }

  /// Linux numbers signals alike on x86-64 and arm64 (signal(7)).
  private static func sentence(of silence: Silence?) -> String {
    let reason =
      switch silence {
      case .busy?:
        ": its main thread was busy. Timers of the guest that expire faster than QEMU serves them keep it so, for one."
      case .waiting?: ": its main thread waited for something."
      case .stopped?: ": a signal or a debugger had stopped it."
      case nil: "."
      }
    return "QEMU did not answer when it was to end, and was killed\(reason)"
  }

  private static func sentence(signal: Int) -> String {
    switch signal {
    case 4: "QEMU crashed: SIGILL."
    case 6: "QEMU gave up on itself: SIGABRT, as after a failed assertion."
    case 7: "QEMU crashed: SIGBUS, as where memory that it was promised is not to be had."
    case 8: "QEMU crashed: SIGFPE."
    case 9: "QEMU was killed: SIGKILL, by somebody or for want of memory (the host's dmesg tells)."
    case 11: "QEMU crashed: SIGSEGV."
    case 15: "QEMU was ended from outside: SIGTERM."
    default: "QEMU was ended by signal \(signal)."
    }
  }
}

extension Sourced<QEMUMessage> {
  /// A message that ends the guest, in words.
  fileprivate var fatality: Evidence? {
    let words: String? =
      switch value {
      case .kvmEntryFailed(let error): "KVM could not enter the guest: hardware error \(error.hexadecimal)."
      case .vmcs(let dump):
        dump.failedEntry.map { "KVM could not enter the guest: the VMCS has exit reason \($0.hexadecimal)." }
      case .vmcb(let dump):
        dump.isFailedEntry ? "KVM could not enter the guest: the VMCB has exit code -1 (VMEXIT_INVALID)." : nil
      case .kvmExceptionExit(let vector, _): "KVM gave up on the guest: exception \(vector.name) left KVM."
      case .kvmUnknownExit(let reason): "KVM gave up on the guest: unknown exit \(reason.hexadecimal)."
      case .kvmUnknownExitReason(let reason): "QEMU does not know KVM's exit reason \(reason)."
      case .kvmRunFailed(let error): "KVM could not run the guest: \(error)."
      case .kvmNotifyExit: "KVM gave up on the guest: a notify exit with invalid context."
      case .registersRefused(let operation, let error):
        "KVM refused the registers that QEMU put \(operation): \(error)."
      case .executionOutsideMemory(let address, _):
        "QEMU gave up: code was to be executed at \(address.hexadecimal), outside RAM and ROM."
      case .bhyveExit(let exit): exit.ending
      case .fatal(let reason): "QEMU gave up: \(reason)."
      default: nil
      }
    return words.map { Evidence($0, source) }
  }
}

extension QEMUMessage {
  /// Whether another emulator or monitor says that its guest met a triple fault.
  fileprivate var isTripleFaultElsewhere: Bool {
    if case .statement(let statement) = self { statement.isTripleFault } else { false }
  }

  fileprivate var isOfWindows: Bool {
    if case .statement(let statement) = self { statement.kind == .whpxExit } else { false }
  }
}
