/// Features of the leaves from 80000000H: AMD's (APM vol. 3, appendix E.4) and what Intel took over of them (SDM vol. 2,
/// CPUID).
///
/// AMD repeats bits of leaf 1's EDX in 80000001H:EDX; those have no names of their own
/// (`FeatureWord.repeatedByAMD`).
extension ProcessorFeature {
  static let extendedEDX: [Row] = [
    Row(11, "syscall", "syscall", "SysCallSysRet", "SYSCALL and SYSRET", enable: .sce, sets: "AMD"),
    Row(19, "", "mp", "MP", "multiprocessing"),
    nxRow,
    Row(22, "mmxext", "mmxext", "MmxExt", "AMD's extensions of MMX", enable: .x87),
    Row(25, "fxsr-opt ffxsr fxsr_opt", "fxsr_opt", "FFXSR", "FXSAVE without XMM registers", enable: .ffxsr),
    pdpe1gbRow,
    Row(27, "rdtscp", "rdtscp", "RDTSCP", "RDTSCP", sets: "RDTSCP"),
    lmRow,
    Row(30, "3dnowext", "3dnowext", "3DNowExt", "AMD's extensions of 3DNow!", enable: .x87),
    Row(31, "3dnow", "3dnow", "3DNow", "64-bit floating-point vectors", enable: .x87, sets: "AMD3DNOW"),
  ]

  static let nxRow = Row(
    20, "nx xd", "nx", "NX", "pages that are not executed", enable: .nxe, tables: "bit 63 (XD) of entries")
  static let pdpe1gbRow = Row(26, "pdpe1gb", "pdpe1gb", "Page1GB", "1 GiB pages", tables: "PDPTE.PS")
  static let lmRow = Row(
    29, "lm i64", "lm", "LM", "64-bit mode", enable: [.lme, .pae], sets: "LONGMODE", tables: "the PML4 table")

  static let extendedECX: [Row] = [
    Row(0, "lahf-lm lahf_lm", "lahf_lm", "LahfSahf", "LAHF and SAHF in 64-bit mode"),
    Row(1, "cmp-legacy cmp_legacy", "cmp_legacy", "CmpLegacy", "several cores, counted in the old way"),
    Row(2, "svm", "svm", "SVM", "AMD's virtualization", enable: .svme, sets: "SVM"),
    Row(3, "extapic", "extapic", "ExtApicSpace", "more APIC registers"),
    Row(4, "cr8legacy", "cr8_legacy", "AltMovCr8", "CR8 outside 64-bit mode"),
    Row(5, "abm", "abm", "ABM", "LZCNT", sets: "LZCNT"),
    Row(6, "sse4a", "sse4a", "SSE4A", "AMD's bit fields in vectors", enable: .sse, sets: "SSE4A"),
    Row(7, "misalignsse", "misalignsse", "MisAlignSse", "SSE on unaligned memory"),
    Row(8, "3dnowprefetch", "3dnowprefetch", "3DNowPrefetch", "PREFETCH and PREFETCHW", sets: "PREFETCH_NOP"),
    Row(9, "osvw", "osvw", "OSVW", "workarounds for the OS to see"),
    Row(10, "ibs", "ibs", "IBS", "instruction-based sampling"),
    Row(11, "xop", "xop", "XOP", "AMD's extended vectors", enable: .avx, sets: "XOP"),
    Row(12, "skinit", "skinit", "SKINIT", "SKINIT and STGI"),
    Row(13, "wdt", "wdt", "WDT", "a watchdog timer"),
    Row(15, "lwp", "lwp", "LWP", "lightweight profiling", enable: [.osxsave, .lwpState], sets: "LWP"),
    Row(16, "fma4", "fma4", "FMA4", "AMD's fused multiply-add", enable: .avx, sets: "FMA4"),
    Row(17, "tce", "tce", "TCE", "translation cache extension", enable: .tce),
    Row(19, "nodeid-msr nodeid_msr", "nodeid_msr", "NodeId", "the MSR of the node's ID"),
    Row(21, "tbm", "tbm", "TBM", "trailing bit manipulation", sets: "TBM"),
    Row(22, "topoext", "topoext", "TopologyExtensions", "topology leaves"),
    Row(23, "perfctr-core perfctr_core", "perfctr_core", "PerfCtrExtCore", "more performance counters of the core"),
    Row(24, "perfctr-nb perfctr_nb", "perfctr_nb", "PerfCtrExtNB", "performance counters of the northbridge"),
    Row(26, "", "bpext", "DataBkptExt", "data breakpoints with masks"),
    Row(27, "", "ptsc", "PerfTsc", "the performance time-stamp counter"),
    Row(28, "", "perfctr_llc", "PerfCtrExtLLC", "performance counters of the L3 cache"),
    Row(29, "", "mwaitx", "MONITORX", "MONITORX and MWAITX", sets: "MONITORX"),
  ]

  static let extended7EBX: [Row] = [
    Row(0, "overflow-recov", "overflow_recov", "McaOverflowRecov", "recovery from MCA overflow"),
    Row(1, "succor", "succor", "SUCCOR", "containment of uncorrectable errors"),
    Row(3, "", "smca", "ScalableMca", "scalable MCA"),
  ]

  static let extended7EDX: [Row] = [
    Row(7, "", "hw_pstate", "HwPstate", "hardware P-states"),
    Row(8, "invtsc", "nonstop_tsc", "TscInvariant", "a TSC that never changes its pace"),
    Row(9, "", "cpb", "CPB", "core performance boost"),
    Row(11, "", "proc_feedback", "ProcFeedbackInterface", "the feedback interface"),
    Row(12, "", "acc_power", "ProcPowerReporting", "reporting of power"),
    Row(14, "", "rapl", "RAPL", "energy counters"),
  ]

  static let extended8EBX: [Row] = [
    Row(0, "clzero", "clzero", "CLZERO", "CLZERO", sets: "CLZERO"),
    Row(1, "", "irperf", "InstRetCntMsr", "the count of retired instructions"),
    Row(2, "xsaveerptr", "xsaveerptr", "RstrFpErrPtrs", "FPU error pointers are always restored"),
    Row(3, "", "", "INVLPGB", "INVLPGB and TLBSYNC", sets: "AMD_INVLPGB"),
    Row(4, "", "rdpru", "RDPRU", "RDPRU", sets: "RDPRU"),
    Row(8, "", "", "MCOMMIT", "MCOMMIT", enable: .mcommit, sets: "MCOMMIT"),
    Row(9, "wbnoinvd", "wbnoinvd", "WBNOINVD", "WBNOINVD"),
    Row(12, "ibpb", "ibpb", "IBPB", "the barrier of branch speculation"),
    Row(14, "ibrs", "ibrs", "IBRS", "restricted branch speculation"),
    Row(15, "amd-stibp", "stibp", "STIBP", "branch predictors of one thread alone"),
    Row(17, "stibp-always-on", "", "StibpAlwaysOn", "STIBP is better left on"),
    Row(23, "", "amd_ppin", "PPIN", "the processor's inventory number"),
    Row(24, "amd-ssbd", "ssbd", "SSBD", "no speculative store bypass"),
    Row(25, "virt-ssbd", "virt_ssbd", "SsbdVirtSpecCtrl", "SSBD by a virtual MSR"),
    Row(26, "amd-no-ssb", "", "SsbdNotRequired", "no speculative store bypass to fear"),
    Row(27, "", "cppc", "CPPC", "collaborative performance control"),
    Row(28, "amd-psfd", "", "PSFD", "no predictive store forwarding"),
    Row(29, "", "", "BTC_NO", "not affected by branch type confusion"),
    Row(30, "", "", "IBPB_RET", "the barrier clears return predictors"),
    Row(31, "", "brs", "BRS", "branch sampling"),
  ]

  static let extendedAEDX: [Row] = [
    Row(0, "npt", "npt", "NP", "nested paging"),
    Row(1, "lbrv", "lbrv", "LbrVirt", "virtual last-branch records"),
    Row(2, "svm-lock svm_lock", "svm_lock", "SVML", "SVM can be locked"),
    Row(3, "nrip-save nrip_save", "nrip_save", "NRIPS", "the next RIP is saved"),
    Row(4, "tsc-scale tsc_scale", "tsc_scale", "TscRateMsr", "the TSC's rate for guests"),
    Row(5, "vmcb-clean vmcb_clean", "vmcb_clean", "VmcbClean", "VMCB clean bits"),
    Row(6, "flushbyasid", "flushbyasid", "FlushByAsid", "TLB flushes of one guest"),
    Row(7, "decodeassists", "decodeassists", "DecodeAssists", "decoded instructions at exits"),
    Row(10, "pause-filter pause_filter", "pausefilter", "PauseFilter", "counted PAUSEs"),
    Row(12, "pfthreshold", "pfthreshold", "PauseFilterThreshold", "a threshold of counted PAUSEs"),
    Row(13, "avic", "avic", "AVIC", "virtual interrupts"),
    Row(15, "v-vmsave-vmload", "v_vmsave_vmload", "VMSAVEvirt", "virtual VMSAVE and VMLOAD"),
    Row(16, "vgif", "vgif", "VGIF", "a virtual GIF"),
    Row(18, "", "x2avic", "x2AVIC", "virtual interrupts in x2APIC mode"),
    Row(20, "", "v_spec_ctrl", "SpecCtrl", "virtual SPEC_CTRL"),
    Row(25, "vnmi", "vnmi", "VNMI", "virtual NMIs"),
    Row(28, "svme-addr-chk", "", "SvmeAddrChk", "checks of SVM's addresses"),
  ]

  static let extended1FEAX: [Row] = [
    Row(0, "", "sme", "SME", "memory encryption", tables: "the C-bit of entries"),
    Row(1, "", "sev", "SEV", "encrypted guests", tables: "the C-bit of entries"),
    Row(2, "", "", "PageFlushMsr", "the MSR that flushes a guest's page"),
    Row(3, "", "sev_es", "SEV-ES", "guests with encrypted registers"),
    Row(4, "", "", "SEV-SNP", "guests with protected page ownership", sets: "SNP"),
    Row(9, "", "", "TscAuxVirtualization", "a virtual TSC_AUX"),
    Row(10, "", "", "HwEnfCacheCoh", "coherent caches of encrypted memory"),
  ]

  static let extended21EAX: [Row] = [
    Row(0, "no-nested-data-bp", "", "NoNestedDataBp", "data breakpoints do not nest"),
    Row(2, "lfence-always-serializing", "", "LFenceAlwaysSerializing", "LFENCE always serializes"),
    Row(5, "", "", "VERW_CLEAR", "VERW clears buffers"),
    Row(6, "null-sel-clr-base", "", "NullSelectorClearsBase", "a null selector clears the base"),
    Row(8, "auto-ibrs", "", "AutomaticIBRS", "restricted branch speculation by itself", enable: .automaticIBRS),
    Row(24, "eraps", "", "ERAPS", "return predictors of their own"),
    Row(27, "sbpb", "", "SBPB", "a selective barrier of branch speculation"),
    Row(28, "ibpb-brtype", "", "IBPB_BRTYPE", "the barrier clears all branch types"),
    Row(29, "srso-no", "", "SRSO_NO", "not affected by SRSO"),
    Row(30, "srso-user-kernel-no", "", "SRSO_USER_KERNEL_NO", "not affected by SRSO from user to kernel"),
  ]

  static let extended22EAX: [Row] = [
    Row(0, "perfmon-v2", "perfmon_v2", "PerfMonV2", "performance monitoring version 2"),
    Row(1, "", "amd_lbr_v2", "LbrStack", "the stack of last branches"),
  ]
}
