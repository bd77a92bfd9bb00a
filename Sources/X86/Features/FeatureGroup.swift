/// What kind of thing a feature is.
public enum FeatureGroup: CaseIterable, Sendable {
  case paging
  case vectors
  case integers
  case state
  case modes
  case interruptsAndTime
  case virtualization
  case paravirtualization
  case speculation
  case debugging
  case power
  case other

  /// The group in words, as a heading.
  public var title: String {
    switch self {
    case .paging: "Paging and protection"
    case .vectors: "Floating point and vectors"
    case .integers: "Integers, strings and memory"
    case .state: "Saving state"
    case .modes: "Modes and system calls"
    case .interruptsAndTime: "Interrupts and time"
    case .virtualization: "Virtualization"
    case .paravirtualization: "What KVM adds for its guests"
    case .speculation: "Speculation and its limits"
    case .debugging: "Debugging and measuring"
    case .power: "Power and temperature"
    case .other: "Other"
    }
  }

  private var names: StaticString {
    switch self {
    case .paging:
      "pse pae pge pat pse36 mtrr pcid nx pdpe1gb la57 smep smap umip pku pks invpcid LAM shstk ibt lass tce SME SEV"
    case .vectors:
      """
      fpu mmx sse sse2 pni ssse3 sse4.1 sse4.2 sse4a avx avx2 fma f16c mmxext 3dnow 3dnowext misalignsse xop fma4 \
      pclmulqdq aes gfni vaes vpclmulqdq sha-ni sha512 sm3 sm4 avx512f avx512dq avx512ifma avx512pf avx512er avx512cd \
      avx512bw avx512vl avx512vbmi avx512vbmi2 avx512vnni avx512bitalg avx512-vpopcntdq avx512-4vnniw avx512-4fmaps \
      avx512-vp2intersect avx512-bf16 avx512-fp16 avx-vnni avx-ifma avx-vnni-int8 avx-vnni-int16 avx-ne-convert avx10 \
      avx10-128 avx10-256 avx10-512 amx-tile amx-int8 amx-bf16 amx-fp16 amx-complex mpx
      """
    case .integers:
      """
      cx8 cx16 cmov popcnt movbe abm bmi1 bmi2 tbm adx rdrand rdseed clflush clflushopt clwb clzero cldemote movdiri \
      movdir64b 3dnowprefetch erms fsrm fzrm fsrs fsrc wbnoinvd cmpccxadd prefetchiti lahf-lm rtm hle tsx-ldtrk \
      serialize pcommit rdpid
      """
    case .state: "fxsr fxsr-opt xsave xsaveopt xsavec xgetbv1 xsaves xfd xsaveerptr"
    case .modes: "vme lm syscall sep fsgsbase msr cr8legacy fred lkgs wrmsrns sgx sgxlc sgx1 sgx2 smx"
    case .interruptsAndTime:
      "apic x2apic extapic arat tsc tsc-deadline tsc-adjust invtsc rdtscp monitor waitpkg kvm-msi-ext-dest-id"
    case .virtualization: "hypervisor vmx svm"
    case .paravirtualization: ""
    case .speculation:
      """
      spec-ctrl stibp ssbd ibpb ibrs amd-stibp amd-ssbd virt-ssbd amd-no-ssb md-clear arch-capabilities core-capability \
      flush-l1d stibp-always-on amd-psfd auto-ibrs sbpb ibpb-brtype srso-no srso-user-kernel-no intel-psfd ipred-ctrl \
      rrsba-ctrl ddpd-u bhi-ctrl mcdt-no lfence-always-serializing null-sel-clr-base eraps
      """
    case .debugging:
      """
      de ds ds-cpl dtes64 mce mca pdcm intel-pt intel-pt-lip arch-lbr ibs lwp perfctr-core perfctr-nb perfmon-v2 \
      no-nested-data-bp bus-lock-detect overflow-recov succor
      """
    case .power: "acpi tm tm2 est pbe"
    case .other: ""
    }
  }

  private static let byName: [String: Self] = {
    var groups: [String: Self] = [:]
    for group in allCases {
      for name in group.names.description.split(separator: " ") { groups[String(name)] = group }
    }
    return groups
  }()

  /// By the feature's word where it decides, else by its name.
  public init(_ feature: ProcessorFeature) {
    switch feature.word {
    case .msr(0x10A), .msr(0xCF): self = .speculation
    case .msr(0x345): self = .debugging
    case .msr, .cpuid(leaf: 0x8000_000A, _, _): self = .virtualization
    case .cpuid(leaf: 0x4000_0001, _, _): self = .paravirtualization
    default: self = Self.byName[feature.name] ?? Self.byName[feature.manualName] ?? .other
    }
  }
}
