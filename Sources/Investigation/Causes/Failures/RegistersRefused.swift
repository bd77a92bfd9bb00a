import KVM
import QEMU
import X86

/// `host.registers-refused`: KVM did not take back the registers of the guest.
struct RegistersRefused: CauseOfFailure, SingleCause {
  static let id = "host.registers-refused"
  static let title = "KVM refuses the registers that QEMU gives it"

  private let operation: String
  private let error: String
  private let violations: [GuestStateViolation]
  private let source: Source

  /// Nil unless a rule of KVM's is broken by the registers that are shown.
  init?(_ failure: ReportedFailure) {
    guard let refusal = failure.scene.registersRefused, let state = failure.state else { return nil }
    violations = GuestEntryState(state).violationsOfKVM
    guard !violations.isEmpty else { return nil }
    (operation, error) = refusal.value
    source = refusal.source
  }

  var summary: String {
    let rules = violations.map(\.words).joined(separator: "; ")
    return
      "QEMU put the registers \(operation) and KVM answered \(error): \(rules), which KVM_SET_SREGS takes for no legal state (\(violations[0].rule)). No exception of the guest was raised: a processor runs with such a descriptor, "
      + "KVM does not take it back."
  }

  var evidence: [Evidence] { [Evidence("QEMU: Failed to put registers \(operation): \(error)", source)] }

  var remedies: [Remedy] {
    [
      .guest(
        "clear bit 21 (L) in the GDT's descriptors outside long mode: flags C instead of E or F with a limit of 4 GiB (00CF9A00… for code)",
        "L is for 64-bit code only; with D set, or outside long mode, it is reserved (SDM vol. 3, 3.4.5)."),
      Remedy(kind: .commandLine, change: "-accel tcg", reason: "TCG does not check it.", available: true),
    ]
  }

  static let manual = """
    QEMU reads a vCPU's registers and puts them back: at a reset, after a device looked at them, after a migration. `Failed to put registers
    after init: Invalid argument` means that KVM refused: KVM_SET_SREGS checks that the state is one of a mode.

    ## Why

    - CS has the L bit although long mode is not active: a GDT whose descriptors have flags E or F instead of C. Processors ignore the
      bit there and run; KVM does not take such a state back.
    - EFER.LME and CR0.PG without CR4.PAE or EFER.LMA.
    - A bit of CR4 that this host's KVM does not know: then it is the host, mostly after a migration.

    ## The cure

    Correct descriptors. SDM vol. 3, 3.4.5; Linux arch/x86/kvm/x86.c: kvm_is_valid_sregs, 4.15 to 6.19.
    """
}

extension Scene {
  /// `Failed to put registers …`, with what QEMU did and what the error is called.
  var registersRefused: Sourced<(operation: String, error: String)>? {
    for entry in log.reversed() {
      if case .registersRefused(let operation, let error) = entry.value {
        return Sourced((operation, error), entry.source)
      }
    }
    return nil
  }
}
