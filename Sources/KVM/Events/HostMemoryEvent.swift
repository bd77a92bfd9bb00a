/// What the host's memory management does to the memory of a guest; addresses are those of the QEMU process, ends are
/// exclusive.
public enum HostMemoryEvent: Hashable, Sendable {
  /// kvm_unmap_hva_range.
  case unmap(start: UInt64, end: UInt64)
  /// kvm_age_hva: the host asks whether pages were used, and forgets it.
  case age(start: UInt64, end: UInt64)
  /// kvm_test_age_hva: the host asks whether a page was used.
  case testAge(address: UInt64)
  /// kvm_age_page: the answer, up to 5.12.
  case aged(address: UInt64, frame: UInt64, wasUsed: Bool)
  /// kvm_set_spte_hva: a page moved; 6.12 has it no more.
  case setEntry(address: UInt64)
  /// kvm_vm_set_mem_attributes: guest page frames become private or shared. The range is of frames.
  case setAttributes(start: UInt64, end: UInt64, attributes: UInt64)
}
