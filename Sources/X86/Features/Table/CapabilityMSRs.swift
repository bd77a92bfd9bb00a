/// What capability MSRs announce, which QEMU lists among the features of a CPU model. The VMX ones are those of a guest
/// that itself runs guests (SDM vol. 3, appendix A; vol. 4 for the others).
extension ProcessorFeature {
  static let architecturalCapabilities: [Row] = [
    Row(0, "rdctl-no", "", "RDCL_NO", "not affected by Meltdown"),
    Row(1, "ibrs-all", "ibrs_enhanced", "IBRS_ALL", "enhanced IBRS"),
    Row(2, "rsba", "", "RSBA", "RET may use another predictor"),
    Row(3, "skip-l1dfl-vmentry", "", "SKIP_L1DFL_VMENTRY", "no L1D flush at VM entry"),
    Row(4, "ssb-no", "", "SSB_NO", "no speculative store bypass to fear"),
    Row(5, "mds-no", "", "MDS_NO", "not affected by MDS"),
    Row(6, "pschange-mc-no", "", "IF_PSCHANGE_MC_NO", "page size may change without a machine check"),
    Row(7, "tsx-ctrl", "", "TSX_CTRL", "IA32_TSX_CTRL"),
    Row(8, "taa-no", "", "TAA_NO", "not affected by TAA"),
    Row(13, "sbdr-ssdp-no", "", "SBDR_SSDP_NO", "not affected by SBDR and SSDP"),
    Row(14, "fbsdp-no", "", "FBSDP_NO", "not affected by FBSDP"),
    Row(15, "psdp-no", "", "PSDP_NO", "not affected by PSDP"),
    Row(17, "fb-clear", "", "FB_CLEAR", "VERW clears fill buffers"),
    Row(20, "bhi-no", "", "BHI_NO", "not affected by branch history injection"),
    Row(24, "pbrsb-no", "", "PBRSB_NO", "not affected by PBRSB"),
    Row(26, "gds-no", "", "GDS_NO", "not affected by GDS"),
    Row(27, "rfds-no", "", "RFDS_NO", "not affected by RFDS"),
    Row(28, "rfds-clear", "", "RFDS_CLEAR", "VERW clears register files"),
  ]

  static let coreCapabilities: [Row] = [
    Row(5, "split-lock-detect", "split_lock_detect", "SPLIT_LOCK_DISABLE", "#AC on split locks")
  ]

  static let performanceCapabilities: [Row] = [
    Row(13, "full-width-write", "", "FW_WRITE", "counters written in full width")
  ]

  static let vmxBasic: [Row] = [
    Row(54, "vmx-ins-outs", "", "INS/OUTS information", "information on INS and OUTS at exits"),
    Row(55, "vmx-true-ctls", "", "true controls", "the TRUE control MSRs"),
    Row(56, "vmx-any-errcode", "", "any error code", "injection with or without an error code"),
    Row(58, "vmx-nested-exception", "", "nested exception", "nested exceptions"),
  ]

  static let vmxMiscellaneous: [Row] = [
    Row(5, "vmx-store-lma", "", "store EFER.LMA", "EFER.LMA is stored at exits"),
    Row(6, "vmx-activity-hlt", "", "HLT state", "the activity state HLT"),
    Row(7, "vmx-activity-shutdown", "", "shutdown state", "the activity state shutdown"),
    Row(8, "vmx-activity-wait-sipi", "", "wait-for-SIPI state", "the activity state wait-for-SIPI"),
    Row(29, "vmx-vmwrite-vmexit-fields", "", "VMWRITE any field", "VMWRITE to exit information"),
    Row(30, "vmx-zero-len-inject", "", "zero-length injection", "injection with length 0"),
  ]

  static let vmxPinBasedControls: [Row] = [
    Row(0, "vmx-intr-exit", "", "external-interrupt exiting", "exits on interrupts"),
    Row(3, "vmx-nmi-exit", "", "NMI exiting", "exits on NMIs"),
    Row(5, "vmx-vnmi", "", "virtual NMIs", "virtual NMIs"),
    Row(6, "vmx-preemption-timer", "", "VMX-preemption timer", "a timer that ends guest time"),
    Row(7, "vmx-posted-intr", "", "posted interrupts", "posted interrupts"),
  ]

  static let vmxProcessorBasedControls: [Row] = [
    Row(2, "vmx-vintr-pending", "", "interrupt-window exiting", "exits when interrupts can be taken"),
    Row(3, "vmx-tsc-offset", "", "use TSC offsetting", "a TSC offset"),
    Row(7, "vmx-hlt-exit", "", "HLT exiting", "exits on HLT"),
    Row(9, "vmx-invlpg-exit", "", "INVLPG exiting", "exits on INVLPG"),
    Row(10, "vmx-mwait-exit", "", "MWAIT exiting", "exits on MWAIT"),
    Row(11, "vmx-rdpmc-exit", "", "RDPMC exiting", "exits on RDPMC"),
    Row(12, "vmx-rdtsc-exit", "", "RDTSC exiting", "exits on RDTSC"),
    Row(15, "vmx-cr3-load-noexit", "", "CR3-load exiting", "CR3 is written without an exit"),
    Row(16, "vmx-cr3-store-noexit", "", "CR3-store exiting", "CR3 is read without an exit"),
    Row(19, "vmx-cr8-load-exit", "", "CR8-load exiting", "exits on writes to CR8"),
    Row(20, "vmx-cr8-store-exit", "", "CR8-store exiting", "exits on reads of CR8"),
    Row(21, "vmx-flexpriority", "", "use TPR shadow", "a shadow of the TPR"),
    Row(22, "vmx-vnmi-pending", "", "NMI-window exiting", "exits when NMIs can be taken"),
    Row(23, "vmx-movdr-exit", "", "MOV-DR exiting", "exits on debug registers"),
    Row(24, "vmx-io-exit", "", "unconditional I/O exiting", "exits on all port I/O"),
    Row(25, "vmx-io-bitmap", "", "use I/O bitmaps", "bitmaps of ports"),
    Row(27, "vmx-mtf", "", "monitor trap flag", "exits after each instruction"),
    Row(28, "vmx-msr-bitmap", "", "use MSR bitmaps", "bitmaps of MSRs"),
    Row(29, "vmx-monitor-exit", "", "MONITOR exiting", "exits on MONITOR"),
    Row(30, "vmx-pause-exit", "", "PAUSE exiting", "exits on PAUSE"),
    Row(31, "vmx-secondary-ctls", "", "activate secondary controls", "secondary controls"),
  ]

  static let vmxSecondaryControls: [Row] = [
    Row(0, "vmx-apicv-xapic", "", "virtualize APIC accesses", "a virtual APIC page"),
    Row(1, "vmx-ept", "", "enable EPT", "extended page tables"),
    Row(2, "vmx-desc-exit", "", "descriptor-table exiting", "exits on descriptor-table registers"),
    Row(3, "vmx-rdtscp-exit", "", "enable RDTSCP", "RDTSCP in guests"),
    Row(4, "vmx-apicv-x2apic", "", "virtualize x2APIC mode", "a virtual x2APIC"),
    Row(5, "vmx-vpid", "", "enable VPID", "virtual processor identifiers"),
    Row(6, "vmx-wbinvd-exit", "", "WBINVD exiting", "exits on WBINVD"),
    Row(7, "vmx-unrestricted-guest", "", "unrestricted guest", "guests without paging or in real mode"),
    Row(8, "vmx-apicv-register", "", "APIC-register virtualization", "virtual APIC registers"),
    Row(9, "vmx-apicv-vid", "", "virtual-interrupt delivery", "virtual interrupts"),
    Row(10, "vmx-ple", "", "PAUSE-loop exiting", "exits on loops of PAUSE"),
    Row(11, "vmx-rdrand-exit", "", "RDRAND exiting", "exits on RDRAND"),
    Row(12, "vmx-invpcid-exit", "", "enable INVPCID", "INVPCID in guests"),
    Row(13, "vmx-vmfunc", "", "enable VM functions", "VMFUNC in guests"),
    Row(14, "vmx-shadow-vmcs", "", "VMCS shadowing", "VMREAD and VMWRITE in guests"),
    Row(15, "vmx-encls-exit", "", "ENCLS exiting", "exits on ENCLS"),
    Row(16, "vmx-rdseed-exit", "", "RDSEED exiting", "exits on RDSEED"),
    Row(17, "vmx-pml", "", "enable PML", "a log of dirty pages"),
    Row(20, "vmx-xsaves", "", "enable XSAVES/XRSTORS", "XSAVES in guests"),
    Row(25, "vmx-tsc-scaling", "", "use TSC scaling", "a TSC at another rate"),
    Row(26, "vmx-enable-user-wait-pause", "", "enable user wait and pause", "UMWAIT in guests"),
  ]

  static let vmxEPTAndVPID: [Row] = [
    Row(0, "vmx-ept-execonly", "", "execute-only EPT", "execute-only EPT entries"),
    Row(6, "vmx-page-walk-4", "", "page-walk length 4", "EPT of four levels"),
    Row(7, "vmx-page-walk-5", "", "page-walk length 5", "EPT of five levels"),
    Row(16, "vmx-ept-2mb", "", "2-MByte EPT pages", "2 MiB EPT pages"),
    Row(17, "vmx-ept-1gb", "", "1-GByte EPT pages", "1 GiB EPT pages"),
    Row(20, "vmx-invept", "", "INVEPT", "INVEPT"),
    Row(21, "vmx-eptad", "", "EPT accessed and dirty flags", "accessed and dirty flags in EPT"),
    Row(22, "vmx-ept-advanced-exitinfo", "", "advanced EPT-violation information", "more on EPT violations"),
    Row(25, "vmx-invept-single-context", "", "single-context INVEPT", "INVEPT of one context"),
    Row(26, "vmx-invept-all-context", "", "all-context INVEPT", "INVEPT of all contexts"),
    Row(32, "vmx-invvpid", "", "INVVPID", "INVVPID"),
    Row(40, "vmx-invvpid-single-addr", "", "individual-address INVVPID", "INVVPID of one address"),
    Row(41, "vmx-invept-single-context", "", "single-context INVVPID", "INVVPID of one context"),
    Row(42, "vmx-invvpid-all-context", "", "all-context INVVPID", "INVVPID of all contexts"),
    Row(
      43, "vmx-invept-single-context-noglobals", "", "single-context INVVPID but globals",
      "INVVPID of one context but its global pages"),
  ]

  static let vmxExitControls: [Row] = [
    Row(2, "vmx-exit-nosave-debugctl", "", "save debug controls", "DR7 and IA32_DEBUGCTL are saved at exits"),
    Row(12, "vmx-exit-load-perf-global-ctrl", "", "load IA32_PERF_GLOBAL_CTRL", "that MSR is loaded at exits"),
    Row(15, "vmx-exit-ack-intr", "", "acknowledge interrupt on exit", "the vector of an interrupt at exits"),
    Row(18, "vmx-exit-save-pat", "", "save IA32_PAT", "that MSR is saved at exits"),
    Row(19, "vmx-exit-load-pat", "", "load IA32_PAT", "that MSR is loaded at exits"),
    Row(20, "vmx-exit-save-efer", "", "save IA32_EFER", "that MSR is saved at exits"),
    Row(21, "vmx-exit-load-efer", "", "load IA32_EFER", "that MSR is loaded at exits"),
    Row(22, "vmx-exit-save-preemption-timer", "", "save VMX-preemption timer", "the timer is saved at exits"),
    Row(23, "vmx-exit-clear-bndcfgs", "", "clear IA32_BNDCFGS", "that MSR is cleared at exits"),
    Row(25, "vmx-exit-clear-rtit-ctl", "", "clear IA32_RTIT_CTL", "that MSR is cleared at exits"),
    Row(29, "vmx-exit-load-pkrs", "", "load PKRS", "IA32_PKRS is loaded at exits"),
    Row(31, "vmx-exit-secondary-ctls", "", "activate secondary controls", "secondary exit controls"),
  ]

  static let vmxEntryControls: [Row] = [
    Row(2, "vmx-entry-noload-debugctl", "", "load debug controls", "DR7 and IA32_DEBUGCTL are loaded at entries"),
    Row(9, "vmx-entry-ia32e-mode", "", "IA-32e mode guest", "guests in long mode"),
    Row(13, "vmx-entry-load-perf-global-ctrl", "", "load IA32_PERF_GLOBAL_CTRL", "that MSR is loaded at entries"),
    Row(14, "vmx-entry-load-pat", "", "load IA32_PAT", "that MSR is loaded at entries"),
    Row(15, "vmx-entry-load-efer", "", "load IA32_EFER", "that MSR is loaded at entries"),
    Row(16, "vmx-entry-load-bndcfgs", "", "load IA32_BNDCFGS", "that MSR is loaded at entries"),
    Row(18, "vmx-entry-load-rtit-ctl", "", "load IA32_RTIT_CTL", "that MSR is loaded at entries"),
    Row(22, "vmx-entry-load-pkrs", "", "load PKRS", "IA32_PKRS is loaded at entries"),
    Row(23, "vmx-entry-load-fred", "", "load FRED", "FRED's state is loaded at entries"),
  ]

  static let vmxFunctions: [Row] = [Row(0, "vmx-eptp-switching", "", "EPTP switching", "EPTP switching by VMFUNC")]
}
