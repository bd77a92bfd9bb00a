import KVM
import QEMU
import X86

/// `host.memory-error`: the host's hardware reported an error, and the guest's run ended with it.
struct HostMemoryError: CauseOfFailure, SingleCause {
  static let id = "host.memory-error"
  static let title = "The host's memory or processor reported an error"

  private let statement: Sourced<Statement>
  private let isOfEntry: Bool

  init?(_ failure: ReportedFailure) {
    isOfEntry = failure.entry?.failure == .failedEntry(exitReason: 41)
    guard let statement = failure.scene.statement(.machineCheck, .memoryFailure),
      isOfEntry || failure.mayBeOfHostMemory
    else { return nil }
    self.statement = statement
  }

  var summary: String {
    "The host's log has a machine check or a page with a memory error (`\(statement.value.text.prefix(80))`), and KVM gave up on the guest: "
      + "the guest's memory or state lay on what failed, as far as the logs tell. The guest did nothing wrong; its registers, if shown, explain nothing."
  }

  var confidence: Confidence { isOfEntry ? .proven : .likely }

  var evidence: [Evidence] { [Evidence("The host: \(statement.value.text)", statement.source)] }

  var remedies: [Remedy] {
    [
      .host(
        "look at the host's machine checks (rasdaemon, mcelog, the BMC's event log) and test or replace the memory",
        "An error that was not injected comes again.")
    ]
  }

  static let manual = """
    The host's processor reported an error that it could not correct: a machine check. Linux takes the page out of use and tells, or
    ends, whoever has it mapped; for a guest that is a machine check of its own, an internal error of KVM, or its end.

    ## How to recognise it

    `mce: Memory error not recovered`, `[Hardware Error]: Machine Check`, `Memory failure: 0x…` in the host's log at the time of the death.
    With confidential guests (TDX, SEV-SNP) the firmware's calls fail afterwards: `SEAMCALL … failed`, suberror 4 with a completion
    status of more than 32 bits, and registers that are all zero since QEMU cannot read them.

    ## The cure

    The host's hardware. Errors injected for a test (EINJ) look the same.

    Linux arch/x86/kernel/cpu/mce/core.c, mm/memory-failure.c, 6.1.
    """
}

extension ReportedFailure {
  /// Whether KVM gave up in a way that a memory error of the host can bring about: no instruction and no state of the guest is at fault.
  fileprivate var mayBeOfHostMemory: Bool {
    if internalError(.unexpectedExitReason) != nil { return true }
    return scene.log.contains { entry in
      switch entry.value {
      case .kvmRunFailed: true
      case .kvmExceptionExit(let vector, _): vector == .machineCheck
      default: false
      }
    }
  }
}
