/// What concerns interrupts that hardware delivers to a running guest: Intel's APICv and posted interrupts, AMD's AVIC.
public enum APICVirtualizationEvent: Hashable, Sendable {
  /// kvm_apicv_inhibit_changed, in 5.15 kvm_apicv_update_request: a reason against APIC virtualization arose
  /// (`isSet`) or went away. `reason` is a number of `enum kvm_apicv_inhibit`, `inhibits` the set of all that hold, nil
  /// where the kernel does not record it.
  case inhibit(reason: UInt32, isSet: Bool, inhibits: UInt64?)
  /// kvm_pi_irte_update: a device's interrupt is posted to a vCPU (`isPosted`) or no longer. `hostInterrupt` is nil in
  /// kernels that do not record it (4.4).
  case postedInterrupt(hostInterrupt: UInt32?, vcpu: Int, gsi: UInt32, vector: UInt32, isPosted: Bool)
  /// kvm_avic_incomplete_ipi: hardware could not deliver this interrupt command. `identifier` says why, `index` to
  /// which entry of the table of APIC IDs (APM vol. 2, 15.29.9.1).
  case incompleteInterrupt(vcpu: UInt32, command: UInt64, identifier: UInt32, index: UInt32)
  /// kvm_avic_unaccelerated_access: a register of the APIC that software must emulate, before (fault) or after (trap)
  /// the access.
  case unacceleratedAccess(vcpu: UInt32, register: UInt32, isTrap: Bool, isWrite: Bool, vector: UInt32)
  /// kvm_avic_ga_log: the IOMMU tells of an interrupt for a vCPU that does not run.
  case logEntry(machine: UInt32, vcpu: UInt32)
  /// kvm_avic_kick_vcpu_slowpath: no single vCPU fits the interrupt command, all are searched.
  case kick(command: UInt64, index: UInt32)
  /// kvm_avic_doorbell: the physical CPU that runs the vCPU is told of an interrupt.
  case doorbell(vcpu: UInt32, apicID: UInt32)
}
