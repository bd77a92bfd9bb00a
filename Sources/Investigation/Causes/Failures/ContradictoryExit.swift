import KVM
import X86

/// `host.contradictory-exit`: the processor reported an exit that cannot come while an event is delivered.
struct ContradictoryExit: CauseOfFailure, SingleCause {
  static let id = "host.contradictory-exit"
  static let title = "What the processor reported contradicts itself"

  private let delivery: InterruptedDelivery

  init?(_ failure: ReportedFailure) {
    guard let delivery = failure.interruptedDelivery, delivery.exit.isOfInstruction, delivery.event.isValid else {
      return nil
    }
    self.delivery = delivery
  }

  var summary: String {
    "KVM was told that \(delivery.eventName) was being delivered when the guest left by \(delivery.exit.words): such an exit comes from executing an instruction, never during a delivery (SDM vol. 3, 28.2.4). The guest cannot bring "
      + "that about: the host's processor (its microcode, with APICv) or the hypervisor below the host reported it wrongly."
  }

  var evidence: [Evidence] { delivery.evidence }

  var remedies: [Remedy] {
    [
      .host("update the processor's microcode and the host's kernel", "It is the processor that sets both fields."),
      .host(
        "load kvm_intel with enable_apicv=0, or leave out hv-vapic and its kin from -cpu",
        "Without virtual-interrupt delivery the processor delivers no interrupt by itself."),
    ]
  }

  static let manual = """
    Suberror 3 (KVM_INTERNAL_ERROR_DELIVERY_EV) says that the guest was left while an event was being delivered: data[0] is the event, data[1]
    the exit reason. Some reasons fit: an EPT violation or misconfiguration at the IDT, the TSS or the stack. An instruction's own exit
    (WRMSR, CPUID, HLT, I/O) does not: no instruction is executed during a delivery.

    ## Why

    The processor filled in the IDT-vectoring field wrongly: a defect of the processor, known with APICv and virtual-interrupt delivery, or
    of the hypervisor below, where the host is itself a guest.

    ## The cure

    Microcode; `kvm_intel enable_apicv=0`; for Windows guests without `hv-vapic`.

    SDM vol. 3, 26.1.2, 28.2.4; Linux arch/x86/kvm/vmx/vmx.c: __vmx_handle_exit, 6.1.
    """
}
