import KVM
import QEMU
import X86

/// `entry.invalid-vmcb`: AMD's VMRUN refused the VMCB, and no rule of the guest's state that is shown says why.
struct InvalidVMCB: CauseOfFailure, SingleCause {
  static let id = "entry.invalid-vmcb"
  static let title = "VMRUN refused the VMCB"

  private let failure: ReportedFailure
  private let dump: RegisterDump?

  init?(_ failure: ReportedFailure) {
    guard failure.entry?.failure == .invalidVMCB else { return nil }
    self.failure = failure
    dump = failure.scene.lastDump
  }

  private var isStateShown: Bool { failure.scene.entryStates(failure.processor).contains { $0.value.cr0 != nil } }

  /// The MSR that ECX names, where it has a name.
  private var msr: String? {
    guard let rcx = dump?[.rcx], rcx <= 0xFFFF_FFFF, rcx > 0xFF else { return nil }
    let words = KnownMSR.words(UInt32(truncatingIfNeeded: rcx))
    return words.contains("(") ? words : nil
  }

  var summary: String {
    if let msr {
      return
        "VMRUN refused the VMCB. ECX names \(msr), as a WRMSR of it leaves it: what KVM turned on or off in the VMCB because of that write may be what the processor refuses. The host's KVM is at fault, not "
        + "the guest; with encrypted guests (SEV-ES) some controls may not be changed at all."
    }
    guard isStateShown else {
      return
        "VMRUN refused the VMCB: the guest's state is not shown, so that neither it nor the controls that the host's KVM, or the hypervisor below it, set can be ruled out."
    }
    return
      "VMRUN refused the VMCB: the guest's state that is shown breaks no rule, so it is a control that the host's KVM, or the hypervisor below it, set wrongly."
  }

  var confidence: Confidence { .possible }

  var remedies: [Remedy] {
    [
      .host(
        "a newer host kernel; kvm_amd dump_invalid_vmcb=1 shows the VMCB in the host's log",
        "Its controls tell which rule of APM vol. 2, 15.5.1 is broken.")
    ]
  }

  static let manual = """
    `KVM: entry failed, hardware error 0xffffffff` is AMD's VMEXIT_INVALID: VMRUN checked the VMCB, the guest's state and the controls, and
    refused. Inquest first checks the state against the rules (entry.invalid-guest-state); this page is for where it breaks none.

    ## Why

    - A control that KVM changed just now: LBR virtualization after a write to DEBUGCTL, for one, which for SEV-ES guests must always be on.
    - ASID 0, an illegal event to inject, intercepts that SEV-ES does not allow.

    ## The cure

    On the host. `kvm_amd dump_invalid_vmcb=1` prints the VMCB into its log.

    APM vol. 2, 15.5.1; Linux arch/x86/kvm/svm/svm.c: svm_handle_exit, dump_vmcb, 6.1.
    """
}
