/// What KVM does as a Hyper-V for guests that ask for its interfaces (the kvm_hv_* tracepoints of
/// arch/x86/kvm/trace.h). Terms are those of the Hypervisor Top Level Functional Specification.
public enum HyperVEvent: Hashable, Sendable {
  /// kvm_hv_hypercall. 4.x does not record the variable header size. `input` and `output` are physical
  /// addresses, or the parameters themselves if the call is fast.
  case hypercall(
    code: UInt16, isFast: Bool, variableHeaderSize: UInt16?, repeatCount: UInt16, repeatStart: UInt16, input: UInt64,
    output: UInt64)
  /// kvm_hv_hypercall_done.
  case hypercallDone(result: UInt64)
  /// kvm_hv_flush_tlb. `isNested`: by the guest's guest, for which only kernels that record it (6.12, not 6.1) flush.
  case flushTLB(processors: UInt64, addressSpace: UInt64, flags: UInt64, isNested: Bool)
  /// kvm_hv_flush_tlb_ex: likewise, for a sparse set of processors.
  case flushTLBOfSet(validBanks: UInt64, format: UInt64, addressSpace: UInt64, flags: UInt64, isNested: Bool)
  /// kvm_hv_send_ipi.
  case sendInterrupt(vector: UInt32, processors: UInt64)
  /// kvm_hv_send_ipi_ex: likewise, to a sparse set of processors.
  case sendInterruptToSet(vector: UInt32, format: UInt64, validBanks: UInt64)

  /// kvm_hv_synic_set_irq: a synthetic interrupt source is raised; `result` is negative if that failed.
  case syntheticInterrupt(vcpu: Int, source: UInt32, vector: Int, result: Int)
  /// kvm_hv_synic_send_eoi.
  case syntheticEndOfInterrupt(vcpu: Int, vector: Int)
  /// kvm_hv_notify_acked_sint.
  case syntheticInterruptAcknowledged(vcpu: Int, source: UInt32)
  /// kvm_hv_synic_set_msr. `byHost`: QEMU writes it, not the guest.
  case setSyntheticMSR(vcpu: Int, index: UInt32, value: UInt64, byHost: Bool)
  /// kvm_hv_syndbg_get_msr and kvm_hv_syndbg_set_msr.
  case debuggerMSR(isWrite: Bool, vcpu: Int, virtualProcessor: UInt32, index: UInt32, value: UInt64)

  /// kvm_hv_stimer_set_config.
  case setTimerConfiguration(vcpu: Int, timer: Int, configuration: UInt64, byHost: Bool)
  /// kvm_hv_stimer_set_count.
  case setTimerCount(vcpu: Int, timer: Int, count: UInt64, byHost: Bool)
  /// kvm_hv_stimer_start_one_shot. Times are in units of 100 ns.
  case startOneShotTimer(vcpu: Int, timer: Int, now: UInt64, expiration: UInt64)
  /// kvm_hv_stimer_start_periodic.
  case startPeriodicTimer(vcpu: Int, timer: Int, now: UInt64, expiration: UInt64)
  /// kvm_hv_stimer_expiration. `isDirect`: by an interrupt, without a message.
  case timerExpired(vcpu: Int, timer: Int, isDirect: Bool, result: Int)
  /// kvm_hv_stimer_callback: the host's timer behind it fired.
  case timerCallback(vcpu: Int, timer: Int)
  /// kvm_hv_stimer_cleanup: four for each vCPU mark the end of the virtual machine.
  case timerCleanup(vcpu: Int, timer: Int)
}
