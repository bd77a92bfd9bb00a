/// What concerns the time that a guest sees.
public enum ClockEvent: Hashable, Sendable {
  /// kvm_write_tsc_offset: what is added to the host's TSC changes.
  case tscOffset(vcpu: Int, old: UInt64, new: UInt64)
  /// kvm_update_master_clock: whether all vCPUs share one reference. `hostClock` is the kernel's number of the host's
  /// own clock (VDSO_CLOCKMODE_*: 0 none, 1 TSC).
  case masterClock(isUsed: Bool, hostClock: UInt32, offsetsMatch: Bool)
  /// kvm_track_tsc: how many vCPUs have the same TSC offset.
  case trackTSC(vcpu: Int, isMasterClockUsed: Bool, matching: UInt32, online: UInt32, hostClock: UInt32)
  /// kvm_pvclock_update: the page of kvmclock is written (struct pvclock_vcpu_time_info of asm/pvclock-abi.h).
  case pvclock(
    vcpu: Int, version: UInt32, tsc: UInt64, systemTime: UInt64, multiplier: UInt32, shift: Int8, flags: UInt8)
  /// kvm_wait_lapic_expire: by how many TSC ticks the APIC's timer is late, or early if negative.
  case lapicTimer(vcpu: Int, delta: Int64)
  /// kvm_hv_timer_state: whether the VMX preemption timer stands in for the APIC's.
  case preemptionTimer(vcpu: Int, isUsed: Bool)
}
