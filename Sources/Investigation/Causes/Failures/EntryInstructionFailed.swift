import KVM
import QEMU
import X86

/// `entry.vmx-instruction-failed`: the instruction that enters the guest failed, before the guest's state counted.
struct EntryInstructionFailed: CauseOfFailure, SingleCause {
  static let id = "entry.vmx-instruction-failed"
  static let title = "The host's own VMX instruction failed"

  /// The VM-instruction error; nil where there was none.
  private let number: UInt32?
  private let lost: Sourced<Statement>?
  private let hasRun: Bool

  init?(_ failure: ReportedFailure) {
    switch failure.entry?.failure {
    case .instructionError(let number): self.number = number
    case .failedWithoutNumber: number = nil
    default: return nil
    }
    lost = failure.scene.statement(.vmptrldFailed) ?? failure.scene.statement(.vmwriteFailed, .vmclearFailed)
    hasRun = failure.state.map { !ResetObservations.isReset($0) } ?? true
  }

  private var isOfFields: Bool { number == 7 || number == 8 }

  var summary: String {
    guard let number else { return withoutNumber }
    let error = "VM-instruction error \(number)"
    if isOfFields {
      let kind = number == 7 ? "control fields" : "host-state fields"
      return
        "\(error): the processor does not accept the \(kind) that the host's KVM wrote into the VMCS. The guest's state was not even looked at"
        + (hasRun ? "." : ", and the guest had run no instruction since the reset that its registers show.")
        + " The host's kernel is at fault, or the hypervisor below it if the host is itself a guest."
    }
    if let lost {
      return
        "\(error), after a VMX instruction on the host had failed (`\(lost.value.text.prefix(60))`): the VMCS could not be made current, so what came after worked on the wrong one or on none. The guest did "
        + "nothing wrong. Where the same VMCS had been good before, corrupted memory of the host is the likely reason: a bad module, a bit flip, or a defect of a driver or kernel."
    }
    return
      "\(error): KVM used a VMX instruction on a VMCS in the wrong state. That is between the host's kernel and its processor; no guest can bring it about."
  }

  private var withoutNumber: String {
    "VMLAUNCH or VMRESUME failed and gave no number: no VMCS was current (VMfailInvalid), or a hypervisor below the host did not say. The guest's state was not looked at\(hasRun ? "" : ", and the guest had run no instruction since the reset that its registers show"). No guest "
      + "can bring that about: the host's kernel, its processor, another hypervisor that has the processor's VMX (VirtualBox beside KVM), or the one below it where the host is itself a guest."
  }

  var confidence: Confidence { isOfFields ? .proven : .likely }

  var evidence: [Evidence] { lost.map { [Evidence("The host: \($0.value.text.prefix(100))", $0.source)] } ?? [] }

  var remedies: [Remedy] {
    (number == nil
      ? [
        .host(
          "end other hypervisors on the host (VirtualBox, VMware); where the host is itself a guest, update the one below it",
          "Two of them cannot share a processor's VMX.")
      ] : []) + ownRemedies
  }

  private var ownRemedies: [Remedy] {
    isOfFields
      ? [
        .host(
          "another host kernel, older or newer",
          "Which controls a processor has is for KVM to ask; a kernel that sets one it lacks has a defect."),
        .host(
          "turn off module parameters that add controls, one by one: kvm_intel ept=0, unrestricted_guest=0, enable_apicv=0",
          "What cures it names the control."),
      ]
      : [
        .host(
          "test the host's memory, look for other oopses and machine checks in its log, update its kernel and microcode",
          "The guest can be started again as it is.")
      ]
  }

  static let manual = """
    `KVM: entry failed, hardware error 0x7`: a small number is a VM-instruction error (SDM vol. 3, 30.4). VMLAUNCH or VMRESUME itself
    failed, before it looked at the guest's state.

    | number | meaning |
    |---|---|
    | 0 | no number was left: no VMCS was current |
    | 4 | VMLAUNCH with a VMCS that is not clear |
    | 5 | VMRESUME with a VMCS that was not launched |
    | 7 | invalid control fields: the host's KVM wrote them |
    | 8 | invalid host-state fields |
    | 26 | events blocked by MOV SS |

    ## Why

    7 and 8 are defects of the host's kernel, or of the hypervisor below a nested host, on this processor. 4 and 5 mean that the VMCS in
    use is not the one that KVM takes it for: with `vmptrld … failed` in the host's log it was corrupted, by the host's memory or by
    another piece of its kernel.

    ## The cure

    On the host: its kernel, its microcode, its memory. The guest's image is never at fault.

    SDM vol. 3, 26.2, 30.4; Linux arch/x86/kvm/vmx/vmx.c: vmx_vcpu_run, __vmx_handle_exit, 6.1.
    """
}
