/// Features of leaves that tell of one thing: RDT, SGX, Processor Trace, AVX10 (SDM vol. 2, CPUID), KVM
/// (Documentation/virt/kvm/x86/cpuid.rst) and VIA's (PadLock Programming Guide).
extension ProcessorFeature {
  static let leafFEDX: [Row] = [Row(1, "", "cqm_llc", "L3 cache monitoring", "monitoring of the L3 cache")]

  static let leafFSubleaf1EDX: [Row] = [
    Row(0, "", "cqm_occup_llc", "L3 occupancy", "monitoring of L3 occupancy"),
    Row(1, "", "cqm_mbm_total", "L3 total bandwidth", "monitoring of all memory bandwidth"),
    Row(2, "", "cqm_mbm_local", "L3 local bandwidth", "monitoring of local memory bandwidth"),
  ]

  static let leaf10EBX: [Row] = [
    Row(1, "", "cat_l3", "L3 CAT", "allocation of the L3 cache"),
    Row(2, "", "cat_l2", "L2 CAT", "allocation of the L2 cache"),
    Row(3, "", "mba", "MBA", "allocation of memory bandwidth"),
  ]

  static let leaf10Subleaf1ECX: [Row] = [Row(2, "", "cdp_l3", "L3 CDP", "code and data priority in the L3 cache")]

  static let leaf10Subleaf2ECX: [Row] = [Row(2, "", "cdp_l2", "L2 CDP", "code and data priority in the L2 cache")]

  static let leaf12EAX: [Row] = [
    Row(0, "sgx1", "", "SGX1", "the instructions of SGX1"),
    Row(1, "sgx2", "", "SGX2", "the instructions of SGX2"),
    Row(11, "sgx-edeccssa", "", "EDECCSSA", "EDECCSSA"),
  ]

  static let leaf12EBX: [Row] = [Row(0, "sgx-exinfo", "", "MISCSELECT.EXINFO", "exceptions told to enclaves")]

  static let leaf12Subleaf1EAX: [Row] = [
    Row(1, "sgx-debug", "", "ATTRIBUTES.DEBUG", "enclaves for debugging"),
    Row(2, "sgx-mode64", "", "ATTRIBUTES.MODE64BIT", "enclaves in 64-bit mode"),
    Row(4, "sgx-provisionkey", "", "ATTRIBUTES.PROVISIONKEY", "the provisioning key"),
    Row(5, "sgx-tokenkey", "", "ATTRIBUTES.EINITTOKENKEY", "the launch token key"),
    Row(7, "sgx-kss", "", "ATTRIBUTES.KSS", "key separation and sharing"),
    Row(10, "sgx-aex-notify", "", "ATTRIBUTES.AEXNOTIFY", "notice of asynchronous exits"),
  ]

  static let leaf14EBX: [Row] = [Row(4, "", "", "PTWRITE", "PTWRITE", sets: "PT")]

  static let leaf14ECX: [Row] = [Row(31, "intel-pt-lip", "", "LIP", "Processor Trace with linear IPs")]

  static let leaf24EBX: [Row] = [
    Row(16, "avx10-128", "", "AVX10 128", "AVX10 on 128-bit vectors"),
    Row(17, "avx10-256", "", "AVX10 256", "AVX10 on 256-bit vectors"),
    Row(18, "avx10-512", "", "AVX10 512", "AVX10 on 512-bit vectors"),
  ]

  static let kvmFeatures: [Row] = [
    Row(0, "kvmclock", "", "KVM_FEATURE_CLOCKSOURCE", "kvmclock by MSRs 11H and 12H"),
    Row(1, "kvm-nopiodelay kvm_nopiodelay", "", "KVM_FEATURE_NOP_IO_DELAY", "no delays on port I/O"),
    Row(2, "kvm-mmu kvm_mmu", "", "KVM_FEATURE_MMU_OP", "the MMU hypercalls, which were withdrawn"),
    Row(3, "kvmclock", "", "KVM_FEATURE_CLOCKSOURCE2", "kvmclock by MSRs 4B564D00H and 4B564D01H"),
    Row(4, "kvm-asyncpf kvm_asyncpf", "", "KVM_FEATURE_ASYNC_PF", "asynchronous page faults"),
    Row(5, "kvm-steal-time kvm_steal_time", "", "KVM_FEATURE_STEAL_TIME", "stolen time"),
    Row(6, "kvm-pv-eoi kvm_pv_eoi", "", "KVM_FEATURE_PV_EOI", "the end of an interrupt without an exit"),
    Row(7, "kvm-pv-unhalt kvm_pv_unhalt", "", "KVM_FEATURE_PV_UNHALT", "paravirtual spinlocks"),
    Row(9, "kvm-pv-tlb-flush", "", "KVM_FEATURE_PV_TLB_FLUSH", "paravirtual TLB flushes"),
    Row(10, "kvm-asyncpf-vmexit", "", "KVM_FEATURE_ASYNC_PF_VMEXIT", "asynchronous page faults as VM exits"),
    Row(11, "kvm-pv-ipi", "", "KVM_FEATURE_PV_SEND_IPI", "paravirtual IPIs"),
    Row(12, "kvm-poll-control kvm_poll_control", "", "KVM_FEATURE_POLL_CONTROL", "control of halt polling"),
    Row(13, "kvm-pv-sched-yield", "", "KVM_FEATURE_PV_SCHED_YIELD", "yielding to another vCPU"),
    Row(14, "kvm-asyncpf-int kvm_asyncpf_int", "", "KVM_FEATURE_ASYNC_PF_INT", "asynchronous page faults by interrupt"),
    Row(15, "kvm-msi-ext-dest-id", "", "KVM_FEATURE_MSI_EXT_DEST_ID", "MSIs to more than 255 processors"),
    Row(24, "kvmclock-stable-bit", "", "KVM_FEATURE_CLOCKSOURCE_STABLE_BIT", "a kvmclock that does not warp"),
  ]

  static let kvmHints: [Row] = [
    Row(0, "kvm-hint-dedicated", "", "KVM_HINTS_REALTIME", "vCPUs are never preempted for long")
  ]

  static let centaurEDX: [Row] = [
    Row(2, "xstore", "rng", "RNG", "a random number generator", sets: "PADLOCK_RNG"),
    Row(3, "xstore-en", "rng_en", "RNG-E", "the random number generator is enabled"),
    Row(6, "xcrypt", "ace", "ACE", "AES encryption", sets: "PADLOCK_ACE"),
    Row(7, "xcrypt-en", "ace_en", "ACE-E", "AES encryption is enabled"),
    Row(8, "ace2", "ace2", "ACE2", "more AES encryption"),
    Row(9, "ace2-en", "ace2_en", "ACE2-E", "more AES encryption is enabled"),
    Row(10, "phe", "phe", "PHE", "hashing", sets: "PADLOCK_PHE"),
    Row(11, "phe-en", "phe_en", "PHE-E", "hashing is enabled"),
    Row(12, "pmm", "pmm", "PMM", "Montgomery multiplication", sets: "PADLOCK_PMM"),
    Row(13, "pmm-en", "pmm_en", "PMM-E", "Montgomery multiplication is enabled"),
  ]
}
