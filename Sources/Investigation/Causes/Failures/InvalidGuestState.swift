import KVM
import QEMU
import X86

/// `entry.invalid-guest-state`: the processor refused to enter the guest, by a rule that its state breaks.
struct InvalidGuestState: CauseOfFailure, SingleCause {
  static let id = "entry.invalid-guest-state"
  static let title = "The guest's state is not one that the processor enters"

  private let entry: EntryFailureObservations
  private let isFromVMCS: Bool

  init?(_ failure: ReportedFailure) {
    guard let entry = failure.entry else { return nil }
    switch entry.failure {
    case .failedEntry(33), .invalidVMCB: break
    default: return nil
    }
    guard !entry.violations.isEmpty || !entry.violationsOfRealMode.isEmpty else { return nil }
    self.entry = entry
    isFromVMCS = failure.scene.log.contains { entry in
      switch entry.value {
      case .vmcs, .vmcb: true
      default: false
      }
    }
  }

  private var isOfRealMode: Bool { entry.violations.isEmpty }

  var summary: String {
    if isOfRealMode {
      let rules = entry.violationsOfRealMode.prefix(2).map(\.words).joined(separator: "; ")
      return
        "The guest is in real mode with segments that virtual-8086 mode does not have: \(rules). A processor without unrestricted guests (Intel before Westmere, or kvm_intel unrestricted_guest=0 or ept=0) cannot enter that; QEMU's text about "
        + "big real mode is right then. A newer one can, and the reason is another."
    }
    let rules = entry.violations.prefix(3).map { "\($0.words) (\($0.rule))" }.joined(separator: "; ")
    let more = entry.violations.count > 3 ? "; and \(entry.violations.count - 3) more" : ""
    return "The state to be entered breaks a rule of VM entry: \(rules)\(more)."
  }

  var confidence: Confidence { isOfRealMode ? .possible : isFromVMCS ? .proven : .likely }

  var remedies: [Remedy] {
    [
      .host(
        "a newer host kernel and QEMU",
        "A guest cannot load such a state on a processor, so it is the hypervisor's to keep it from being entered."),
      .guest(
        "look at what the guest did last: its last write to a control register, EFER or a segment",
        "KVM lets some states pass that hardware would have refused at the instruction."),
    ]
  }

  static let manual = """
    `KVM: entry failed, hardware error 0x80000021` on Intel, or `0xffffffff` on AMD: the processor checked the guest's state at the entry
    and found it illegal. QEMU adds a text about big real mode whatever the state is.

    ## How to recognise it

    Inquest checks the registers against the rules of SDM vol. 3, 26.3.1 and APM vol. 2, 15.5.1 and names the one that is broken. QEMU's
    registers are what KVM was to load; what it did load is in the VMCS, which `kvm_intel dump_invalid_vmcs=1` (or `kvm_amd
    dump_invalid_vmcb=1`) prints into the host's log. Inquest reads those dumps too.

    ## Why

    Without unrestricted guests VMX enters real mode's code only as virtual-8086 mode: segments whose base is not 16 times the selector, or
    whose limit is not FFFFH, cannot be entered, and KVM emulates them (emulate_invalid_guest_state=1). Elsewhere it is a state that was
    put together wrongly: by a migration, a snapshot, nested virtualization, or a defect of KVM.

    ## The cure

    That of the rule.
    """
}
