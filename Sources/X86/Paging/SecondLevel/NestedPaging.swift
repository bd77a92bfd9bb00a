/// Nested page tables: the translation of guest-physical addresses on AMD processors (APM vol. 2, 15.25).
///
/// They are ordinary tables, walked by the host's paging mode and EFER as they stood at VMRUN, and each access is a
/// user's (APM vol. 2, 15.25.5; KVM `mmu.c: kvm_init_shadow_npt_mmu`, 6.19).
public struct NestedPaging: Hashable, Sendable {
  /// The host's paging, with nCR3 for its CR3.
  public var paging: Paging

  public init(paging: Paging) { self.paging = paging }

  /// Translates a guest-physical address, reading the tables from the host's `memory`.
  ///
  /// A guest-physical address is not sign-extended: one that the mode's linear addresses cannot hold is not canonical.
  public func walk(
    _ address: PhysicalAddress, for kind: PageAccess.Kind, in memory: borrowing some PhysicalMemory
  ) -> PageWalk {
    paging.walk(linearAddress(of: address), for: PageAccess(kind, by: .user), in: memory)
  }

  /// The guest-physical address as the walk takes it: bit 47 or 56 is one like any other.
  private func linearAddress(of address: PhysicalAddress) -> LinearAddress {
    let bits: UInt64 =
      switch paging.mode {
      case .fourLevel: 48
      case .fiveLevel: 57
      case .none, .twoLevel, .pae: 64
      }
    guard bits < 64, address.rawValue >> bits == 0, address.rawValue >> (bits - 1) == 1 else {
      return LinearAddress(address.rawValue)
    }
    return LinearAddress(address.rawValue | ~0 << bits)
  }
}

/// EXITINFO1 of a nested page fault (APM vol. 2, 15.25.6): the error code, and which dimension's access failed.
public struct NestedPageFaultInformation: Hashable, Sendable {
  public var errorCode: PageFaultErrorCode
  /// Whether the page itself was accessed (bit 32), and not an entry of the guest's tables (bit 33).
  public var isFinalAccess: Bool

  public init(errorCode: PageFaultErrorCode, isFinalAccess: Bool) {
    self.errorCode = errorCode
    self.isFinalAccess = isFinalAccess
  }

  /// As the VMCB holds it.
  public var rawValue: UInt64 { UInt64(errorCode.rawValue) | (isFinalAccess ? 1 << 32 : 1 << 33) }
}
