/// How KVM logs which pages the guest wrote, as migration needs it.
public enum DirtyLogEvent: Hashable, Sendable {
  /// kvm_dirty_ring_push: a page is added to a vCPU's ring. `dirty` and `reset` are the ring's ends.
  case push(ring: Int, dirty: UInt32, reset: UInt32, slot: UInt32, offset: UInt64)
  /// kvm_dirty_ring_reset: QEMU has read the ring up to `reset`.
  case reset(ring: Int, dirty: UInt32, reset: UInt32)
  /// kvm_dirty_ring_exit: the ring is full, so that KVM_RUN returns.
  case ringFull(vcpu: Int)
  /// kvm_pml_full: the page-modification log of the processor is full.
  case pageModificationLogFull(vcpu: Int)
}
