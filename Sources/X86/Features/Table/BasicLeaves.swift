/// Features of leaves 1, 6 and DH and, with SDM vol. 2 (CPUID), what they are.
extension ProcessorFeature {
  static let leaf1EDX: [Row] = [
    Row(0, "fpu", "fpu", "FPU", "x87 floating point", enable: .x87, sets: "X87 FCMOV"),
    Row(1, "vme", "vme", "VME", "virtual-8086 mode extensions", enable: .vme),
    Row(2, "de", "de", "DE", "I/O breakpoints", enable: .de),
    Row(3, "pse", "pse", "PSE", "4 MiB pages with 32-bit paging", enable: .pse, tables: "PDE.PS (32-bit paging)"),
    Row(4, "tsc", "tsc", "TSC", "the time-stamp counter, RDTSC"),
    Row(5, "msr", "msr", "MSR", "RDMSR and WRMSR"),
    Row(6, "pae", "pae", "PAE", "physical addresses above 32 bits", enable: .pae, tables: "entries of 64 bits"),
    Row(7, "mce", "mce", "MCE", "machine-check exceptions", enable: .mce),
    Row(8, "cx8", "cx8", "CX8", "CMPXCHG8B"),
    Row(9, "apic", "apic", "APIC", "the local APIC", enable: .apicEnabled),
    Row(11, "sep", "sep", "SEP", "SYSENTER and SYSEXIT"),
    Row(12, "mtrr", "mtrr", "MTRR", "memory type range registers"),
    Row(13, "pge", "pge", "PGE", "global pages", enable: .pge, tables: "G of leaf entries"),
    Row(14, "mca", "mca", "MCA", "machine-check banks"),
    Row(15, "cmov", "cmov", "CMOV", "conditional moves", sets: "CMOV FCMOV"),
    Row(16, "pat", "pat", "PAT", "the page attribute table", tables: "PAT of leaf entries"),
    pse36Row,
    Row(18, "pn", "pn", "PSN", "the processor's serial number"),
    Row(19, "clflush", "clflush", "CLFSH", "CLFLUSH", sets: "CLFSH"),
    Row(21, "ds", "dts", "DS", "the debug store"),
    Row(22, "acpi", "acpi", "ACPI", "thermal monitor and clock control MSRs"),
    Row(23, "mmx", "mmx", "MMX", "64-bit integer vectors", enable: .x87, sets: "PENTIUMMMX"),
    Row(24, "fxsr", "fxsr", "FXSR", "FXSAVE and FXRSTOR", enable: .x87, sets: "FXSAVE FXSAVE64"),
    Row(
      25, "sse", "sse", "SSE", "128-bit single-precision vectors", enable: .sse,
      sets: "SSE SSEMXCSR SSE_PREFETCH"),
    Row(26, "sse2", "sse2", "SSE2", "128-bit double-precision and integer vectors", enable: .sse, sets: "SSE2 SSE2MMX"),
    Row(27, "ss", "ss", "SS", "self snoop"),
    Row(28, "ht", "ht", "HTT", "several logical processors in the package"),
    Row(29, "tm", "tm", "TM", "thermal monitor"),
    Row(30, "ia64", "ia64", "IA64", "an Itanium that runs x86 code"),
    Row(31, "pbe", "pbe", "PBE", "pending break enable"),
  ]

  static let pse36Row = Row(
    17, "pse36", "pse36", "PSE-36", "4 MiB pages above 4 GiB", enable: .pse, tables: "PDE[20:13] of a 4 MiB page")

  static let leaf1ECX: [Row] = [
    Row(0, "pni sse3", "pni", "SSE3", "horizontal vector arithmetic", enable: .sse, sets: "SSE3 SSE3X87"),
    Row(
      1, "pclmulqdq pclmuldq", "pclmulqdq", "PCLMULQDQ", "carry-less multiplication", enable: .sse,
      sets: "PCLMULQDQ"),
    Row(2, "dtes64", "dtes64", "DTES64", "the debug store in 64 bits"),
    Row(3, "monitor", "monitor", "MONITOR", "MONITOR and MWAIT", enable: .monitorEnabled, sets: "MONITOR"),
    Row(4, "ds-cpl", "ds_cpl", "DS-CPL", "the debug store by privilege level"),
    Row(5, "vmx", "vmx", "VMX", "Intel's virtualization", enable: [.vmxe, .vmxOutsideSMX], sets: "VTX VMFUNC"),
    Row(6, "smx", "smx", "SMX", "GETSEC", enable: .smxe, sets: "SMX"),
    Row(7, "est", "est", "EIST", "Enhanced SpeedStep"),
    Row(8, "tm2", "tm2", "TM2", "thermal monitor 2"),
    Row(9, "ssse3", "ssse3", "SSSE3", "byte shuffles", enable: .sse, sets: "SSSE3 SSSE3MMX"),
    Row(10, "cid", "cid", "CNXT-ID", "L1 context ID"),
    Row(11, "", "sdbg", "SDBG", "silicon debug"),
    Row(12, "fma", "fma", "FMA", "fused multiply-add", enable: .avx, sets: "FMA"),
    Row(13, "cx16", "cx16", "CMPXCHG16B", "CMPXCHG16B", sets: "CMPXCHG16B"),
    Row(14, "xtpr", "xtpr", "xTPR", "xTPR update control"),
    Row(15, "pdcm", "pdcm", "PDCM", "IA32_PERF_CAPABILITIES"),
    Row(17, "pcid", "pcid", "PCID", "process-context identifiers", enable: .pcide, tables: "CR3[11:0], CR3[63]"),
    Row(18, "dca", "dca", "DCA", "direct cache access"),
    Row(
      19, "sse4.1 sse4-1 sse4_1", "sse4_1", "SSE4.1", "blends, dot products, integer extremes", enable: .sse,
      sets: "SSE4"),
    Row(20, "sse4.2 sse4-2 sse4_2", "sse4_2", "SSE4.2", "string comparison, CRC32", enable: .sse, sets: "SSE42"),
    Row(21, "x2apic", "x2apic", "x2APIC", "the APIC by MSRs", enable: [.apicEnabled, .x2apicMode]),
    Row(22, "movbe", "movbe", "MOVBE", "MOVBE", sets: "MOVBE"),
    Row(23, "popcnt", "popcnt", "POPCNT", "POPCNT", sets: "POPCNT"),
    Row(
      24, "tsc-deadline", "tsc_deadline_timer", "TSC-Deadline", "the APIC timer's TSC deadline", enable: .apicEnabled),
    Row(25, "aes", "aes", "AESNI", "AES rounds", enable: .sse, sets: "AES AVXAES"),
    Row(26, "xsave", "xsave", "XSAVE", "XSAVE, XRSTOR, XSETBV and XGETBV", enable: .osxsave, sets: "XSAVE"),
    Row(27, "", "", "OSXSAVE", "CR4.OSXSAVE is set"),
    Row(
      28, "avx", "avx", "AVX", "256-bit floating-point vectors", enable: .avx,
      sets: "AVX AVXAES AVX_GFNI AVX_VNNI AVX2 AVX2GATHER FMA FMA4 F16C XOP VAES VPCLMULQDQ"),
    Row(29, "f16c", "f16c", "F16C", "half-precision conversion", enable: .avx, sets: "F16C"),
    Row(30, "rdrand", "rdrand", "RDRAND", "RDRAND", sets: "RDRAND"),
    Row(31, "hypervisor", "hypervisor", "hypervisor", "the processor is virtual"),
  ]

  static let leaf6EAX: [Row] = [
    Row(0, "", "dtherm", "digital temperature sensor", "the digital temperature sensor"),
    Row(1, "", "ida", "Turbo Boost", "dynamic acceleration"),
    Row(2, "arat", "arat", "ARAT", "an APIC timer that always runs"),
    Row(4, "", "pln", "PLN", "power limit notification"),
    Row(6, "", "pts", "PTM", "package thermal management"),
    Row(7, "", "hwp", "HWP", "hardware P-states"),
    Row(8, "", "hwp_notify", "HWP_Notification", "HWP interrupts"),
    Row(9, "", "hwp_act_window", "HWP_Activity_Window", "the HWP activity window"),
    Row(10, "", "hwp_epp", "HWP_Energy_Performance_Preference", "the HWP energy preference"),
    Row(11, "", "hwp_pkg_req", "HWP_Package_Level_Request", "HWP for the package"),
    Row(19, "", "hfi", "HFI", "the hardware feedback interface"),
  ]

  static let leaf6ECX: [Row] = [
    Row(0, "", "aperfmperf", "hardware coordination feedback", "IA32_APERF and IA32_MPERF"),
    Row(3, "", "epb", "performance-energy bias", "IA32_ENERGY_PERF_BIAS"),
  ]

  static let leafDSubleaf1EAX: [Row] = [
    Row(0, "xsaveopt", "xsaveopt", "XSAVEOPT", "XSAVE of what was modified", enable: .osxsave, sets: "XSAVEOPT"),
    Row(1, "xsavec", "xsavec", "XSAVEC", "compacted XSAVE", enable: .osxsave, sets: "XSAVEC"),
    Row(2, "xgetbv1", "xgetbv1", "XGETBV with ECX=1", "the state components in use", enable: .osxsave),
    Row(3, "xsaves", "xsaves", "XSAVES", "XSAVE of supervisor state", enable: .osxsave, sets: "XSAVES"),
    Row(4, "xfd", "", "XFD", "extended feature disable"),
  ]
}
