/// Who translates a guest's addresses, and so by whose rules.
public enum Walker: Hashable, Sendable {
  /// A processor: bare metal, or under EPT or NPT, where it walks the guest's tables itself.
  case hardware(ProcessorVendor)
  /// KVM's own walker, in Linux of this version.
  ///
  /// Without two-dimensional paging (shadow paging: kvm_intel ept=0, kvm_amd npt=0, kvm_pvm) it decides every access;
  /// with it only those of instructions that KVM emulates.
  case kvm(SoftwareVersion, twoDimensionalPaging: Bool)
  /// QEMU's TCG of this version.
  case tcg(SoftwareVersion)
}

/// Whose processor it is. Hygon's count as AMD's.
public enum ProcessorVendor: Hashable, Sendable, CaseIterable {
  case intel
  case amd
}

/// The first two numbers of a version of Linux or QEMU, such as 6.1 or 7.2.
public struct SoftwareVersion: Hashable, Comparable, Sendable {
  public var major: Int
  public var minor: Int

  public init(_ major: Int, _ minor: Int) {
    self.major = major
    self.minor = minor
  }

  public static func < (a: Self, b: Self) -> Bool { (a.major, a.minor) < (b.major, b.minor) }
}

/// What the rules of the walkers of one guest depend on, as far as it is known.
public struct WalkerInputs: Hashable, Sendable {
  /// What the guest's CPUID announces, and its EFER.NXE. Quirks are ignored.
  public var guest: PagingRules
  /// What the host's processor announces to the host.
  public var host: PagingRules
  /// Whether KVM_GET_SUPPORTED_CPUID has pdpe1gb.
  public var kvmOffersGiBPages: Bool?

  public init(guest: PagingRules, host: PagingRules = PagingRules(), kvmOffersGiBPages: Bool? = nil) {
    self.guest = guest
    self.host = host
    self.kvmOffersGiBPages = kvmOffersGiBPages
  }
}

extension Walker {
  /// The rules that this walker goes by.
  ///
  /// A processor goes by its own CPUID, whatever the guest's says; KVM by the guest's, but for 1 GiB pages; TCG by the
  /// guest's, and does not ask it for 1 GiB pages.
  public func rules(for inputs: WalkerInputs) -> PagingRules {
    var rules: PagingRules
    switch self {
    case .hardware(let vendor):
      rules = inputs.host
      rules.executeDisableEnabled = inputs.guest.executeDisableEnabled
      rules.isAMD = vendor == .amd
    case .kvm(let version, let twoDimensionalPaging):
      rules = inputs.guest
      rules.hasGiBPages = Self.kvmHasGiBPages(version, twoDimensionalPaging, inputs)
      // PSE-36, whatever CPUID says (mmu.c: is_cpuid_PSE36, 6.19).
      rules.fourMiBPageAddressBits = 36
    case .tcg:
      rules = inputs.guest
      // CPUID is not asked, bit 8 of a PML4E is not looked at, and bits 20:13 of a 4 MiB page's PDE are always
      // bits 39:32 of its address (excp_helper.c: mmu_translate, 10.2; the first measured on 7.2).
      rules.hasGiBPages = true
      rules.isAMD = false
      rules.fourMiBPageAddressBits = 40
    }
    rules.quirks = quirks
    return rules
  }

  /// Where this walker departs from the architecture.
  public var quirks: WalkerQuirks {
    switch self {
    case .hardware: return []
    case .kvm(let version, _):
      var quirks: WalkerQuirks = [.fetchBitWithoutPAE, .faultsOnDevices, .ignoresSupervisorKeys]
      if version < SoftwareVersion(5, 18) { quirks.insert(.alignmentCheckLiftsImplicit) }
      return quirks
    case .tcg(let version):
      var quirks: WalkerQuirks = [
        .readsPDPTEs, .ignoresPDPTEBits, .alignmentCheckLiftsImplicit, .refusesUsersBeforeKeys,
      ]
      // The walker was rewritten in October 2022, for 7.2.
      if version >= SoftwareVersion(7, 2) { quirks.insert(.reservedWithoutPresent) }
      return quirks
    }
  }

  /// Whether KVM's walker lets a PDPTE map a 1 GiB page.
  ///
  /// - Before Linux 5.14 it goes by the guest's CPUID.
  /// - Since then by the host's processor where EPT or NPT is on (Linux commit 27de925044e1 "KVM: x86/mmu: Let guest use
  ///   GBPAGES if supported in hardware and TDP is on"; `mmu.c: guest_can_use_gbpages`, 5.15 and 6.1;
  ///   `cpuid.c: kvm_vcpu_after_set_cpuid`, 6.12 and 6.19).
  /// - Otherwise by the guest's CPUID; of that, a recent KVM drops what it does not itself offer (measured on 6.18 with
  ///   kvm_pvm; 6.12 does not). The version in between where that began is not known here.
  private static func kvmHasGiBPages(
    _ version: SoftwareVersion, _ twoDimensionalPaging: Bool, _ inputs: WalkerInputs
  ) -> Bool? {
    if twoDimensionalPaging && version >= SoftwareVersion(5, 14) { return inputs.host.hasGiBPages }
    guard inputs.guest.hasGiBPages == true, version > SoftwareVersion(6, 12) else { return inputs.guest.hasGiBPages }
    if inputs.kvmOffersGiBPages == true { return true }
    return version >= SoftwareVersion(6, 18) ? inputs.kvmOffersGiBPages : nil
  }
}
