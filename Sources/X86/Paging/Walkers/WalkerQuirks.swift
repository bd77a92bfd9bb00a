/// Where a walker departs from the architecture, or does what the architecture leaves open in its own way.
///
/// A ``Walker`` knows which of them it has.
public struct WalkerQuirks: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The PDPTEs of PAE paging are read from memory at each walk and not held in registers, so that a reserved bit in one
  /// is a page fault and no #GP (TCG: `excp_helper.c: mmu_translate`, 10.2; measured on 7.2: a PDPTE of 3 boots on TCG
  /// and raises #GP on KVM).
  public static let readsPDPTEs = Self(rawValue: 1 << 0)
  /// Bits 2:1 and 8:5 of a PDPTE of PAE paging are not checked (TCG, as above).
  public static let ignoresPDPTEBits = Self(rawValue: 1 << 1)
  /// The error code of a reserved bit lacks P (TCG: `excp_helper.c: do_fault_rsvd`, 7.2 to 10.2; measured on 7.2).
  public static let reservedWithoutPresent = Self(rawValue: 1 << 2)
  /// EFER.NXE puts F into the error code of a fetch in 32-bit paging too, where the SDM wants CR4.PAE (KVM:
  /// `mmu.c: kvm_calc_cpu_role` and `paging_tmpl.h: walk_addr_generic`, 6.19).
  public static let fetchBitWithoutPAE = Self(rawValue: 1 << 3)
  /// A table on a device is a fault as if nothing were there (KVM: `paging_tmpl.h: walk_addr_generic` wants a memory
  /// slot, 6.19).
  public static let faultsOnDevices = Self(rawValue: 1 << 4)
  /// Protection keys of supervisor pages do nothing (KVM up to 6.19, which refuses CR4.PKS).
  public static let ignoresSupervisorKeys = Self(rawValue: 1 << 5)
  /// RFLAGS.AC lifts SMAP also for the processor's own accesses below CPL 3, where the SDM (vol. 3, 4.6.1) has it lifted for
  /// explicit ones alone (TCG: `cpu_mmu_index_kernel`, measured on 7.2, the same in 10.1; KVM before 5.18: `mmu.h: permission_fault`,
  /// 5.15, until Linux commit 4f4aa80e3b88 "KVM: X86: Handle implicit supervisor access with SMAP").
  public static let alignmentCheckLiftsImplicit = Self(rawValue: 1 << 6)
  /// A user's access to a supervisor page is refused before IA32_PKRS is looked at, so that PK is clear in the error
  /// code, where the SDM (vol. 3, 4.7) sets PK whenever the key forbids the access (TCG: `excp_helper.c: mmu_translate`,
  /// measured on 7.2).
  public static let refusesUsersBeforeKeys = Self(rawValue: 1 << 7)
}
