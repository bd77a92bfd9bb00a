/// The steps of an asynchronous page fault: the guest goes on with something else while the host swaps a page in. A
/// `guestAddress` is physical with two-dimensional paging, else virtual.
public enum AsyncPageFaultEvent: Hashable, Sendable {
  /// kvm_try_async_get_page.
  case begin(guestAddress: UInt64, frame: UInt64)
  /// kvm_async_pf_repeated_fault, up to 5.15 kvm_async_pf_doublefault: the page is being swapped in already.
  case `repeat`(guestAddress: UInt64, frame: UInt64)
  /// kvm_async_pf_not_present: the guest is told to wait.
  case notPresent(token: UInt64, guestAddress: UInt64)
  /// kvm_async_pf_ready: the guest is told to go on.
  case ready(token: UInt64, guestAddress: UInt64)
  /// kvm_async_pf_completed: the page is there.
  case completed(guestAddress: UInt64, hostAddress: UInt64)
}
