import KVM
import X86

/// `entry.half-restored-state`: the vCPU was to run with registers of two moments.
struct HalfRestoredState: CauseOfFailure, SingleCause {
  static let id = "entry.half-restored-state"
  static let title = "The processor's state was only half restored"

  private let state: ProcessorState
  private let entry: EntryFailureObservations

  init?(_ failure: ReportedFailure) {
    guard let state = failure.state, let entry = failure.entry else { return nil }
    switch entry.failure {
    case .failedEntry(33), .invalidVMCB: break
    default: return nil
    }
    guard ResetObservations.isHalfRestored(state) || isResetWithRemains(state) else { return nil }
    (self.state, self.entry) = (state, entry)
  }

  private var isOfReset: Bool { ResetObservations.isReset(state) }

  var summary: String {
    let rule = entry.violations.first.map { " The rule that this breaks: \($0.words) (\($0.rule))." } ?? ""
    guard isOfReset else {
      return
        "RIP, RSP and the flags are those of a running system, while segments, descriptor tables, control registers and EFER are those of a reset: QEMU set the general registers, and KVM refused the special "
        + "ones (KVM_SET_SREGS). The mix cannot be entered.\(rule) That is typical of a migration or snapshot whose state needs what this host's processor or KVM lacks."
    }
    return
      "The registers are those of a reset, but CR4 still is \(state.cr4.rawValue.hexadecimal) (\(state.cr4.names.joined(separator: ", "))): a reset clears it.\(rule) QEMU or KVM put the reset's state only partly in "
      + "force, as where a reset comes while nested guests run (CR4.VMXE\(state.cr4.contains(.vmxEnable) ? " is set" : "")). The guest's code is not at fault."
  }

  var confidence: Confidence { entry.violations.isEmpty ? .possible : .likely }

  var remedies: [Remedy] {
    isOfReset
      ? [
        .host("a newer QEMU and host kernel", "They reset nested state together with the processor."),
        Remedy(
          kind: .commandLine, change: "-cpu MODEL,-vmx,-pcid",
          reason: "Without them there is no nested state and no PCIDE to be left over.", available: nil),
      ]
      : [
        Remedy(
          kind: .commandLine,
          change: "-cpu with a model that both hosts have, instead of host or one of the newer host",
          reason: "Then the state holds nothing that the other lacks.", available: nil),
        .host(
          "look for `failed to set MSR` or `KVM_SET_SREGS` in QEMU's log on the destination",
          "QEMU names what was refused, as far as it looks."),
      ]
  }

  static let manual = """
    The registers that were to be entered are of two moments: some are those of a running system, the others those of a reset. No guest
    can make such a state; QEMU or KVM put only a part of a state in force. The processor refuses the entry: `KVM: entry failed, hardware
    error 0x80000021`, with QEMU's text about big real mode, which does not fit.

    ## How to recognise it

    - CS f000 with base ffff0000, CR0 60000010, CR3 0, EFER 0, GDT and IDT at 0 with limit ffff, but a RIP above ffff and a living RSP:
      the special registers were refused. After a migration, the destination lacks what the source's state has (a bit of CR4, EFER or
      XCR0).
    - All registers of a reset, but CR4 is not 0: with PCIDE left over the entry fails, since PCIDE needs long mode.

    ## The cure

    A CPU model that both hosts have. For what a reset left over: a newer QEMU, or no nested virtualization.

    SDM vol. 3, 9.1.1, table 9-1 (reset), 26.3.1.1; QEMU target/i386/kvm/kvm.c: kvm_arch_put_registers, 7.2.
    """
}

/// Whether a state is a reset's in all but what a reset clears.
private func isResetWithRemains(_ state: ProcessorState) -> Bool {
  ResetObservations.isReset(state) && !state.cr4.isEmpty
}
