public import X86

/// What guests with encrypted state (SEV-ES, SEV-SNP) ask of KVM.
public enum SEVEvent: Hashable, Sendable {
  /// kvm_vmgexit_enter: the guest's #VC handler asks for something; the reason is one of `SVMExitCode`.
  case exit(vcpu: Int, reason: UInt64, info1: UInt64, info2: UInt64)
  /// kvm_vmgexit_exit: KVM has done it.
  case resume(vcpu: Int, reason: UInt64, info1: UInt64, info2: UInt64)
  /// kvm_vmgexit_msr_protocol_enter: a request in the GHCB MSR itself, before there is a shared page.
  case msrRequest(vcpu: Int, value: UInt64)
  /// kvm_vmgexit_msr_protocol_exit. A `result` of 0 ends KVM_RUN, a negative one is an error.
  case msrResponse(vcpu: Int, value: UInt64, result: Int32)
  /// kvm_rmp_fault: the reverse map table forbids an access of the guest. The level is that of its entry;
  /// `splitResult` is not 0 if splitting it failed.
  case reverseMapFault(
    vcpu: Int, address: PhysicalAddress, hostFrame: UInt64, errorCode: UInt64, level: Int, splitResult: Int32)
}
