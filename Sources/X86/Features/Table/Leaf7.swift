/// Features of leaf 7 (SDM vol. 2, CPUID).
///
/// Of IBRS, IBPB, STIBP and SSBD, Linux shows flags of its own, which it sets by these bits on Intel's processors and by those
/// of 80000008H on AMD's (`kernel/cpu/common.c: init_speculation_control`, 6.1).
extension ProcessorFeature {
  static let leaf7EBX: [Row] = [
    Row(
      0, "fsgsbase", "fsgsbase", "FSGSBASE", "reading and writing the FS and GS bases", enable: .fsgsbase,
      sets: "RDWRFSGS"),
    Row(1, "tsc-adjust", "tsc_adjust", "IA32_TSC_ADJUST", "the MSR that shifts the TSC"),
    Row(2, "sgx", "sgx", "SGX", "enclaves", enable: .sgxEnabled, sets: "SGX SGX_ENCLV"),
    Row(3, "bmi1", "bmi1", "BMI1", "bit manipulation, TZCNT", sets: "BMI1"),
    Row(4, "hle", "hle", "HLE", "hardware lock elision"),
    Row(5, "avx2", "avx2", "AVX2", "256-bit integer vectors", enable: .avx, sets: "AVX2 AVX2GATHER"),
    Row(6, "fdp-excptn-only", "", "FDP_EXCPTN_ONLY", "the x87 data pointer is updated on exceptions only"),
    Row(
      7, "smep", "smep", "SMEP", "supervisor code is not run from user pages", enable: .smep,
      tables: "U/S of executed pages"),
    Row(8, "bmi2", "bmi2", "BMI2", "bit manipulation, PDEP and PEXT", sets: "BMI2"),
    Row(9, "erms", "erms", "ERMS", "fast REP MOVSB and STOSB"),
    Row(10, "invpcid", "invpcid", "INVPCID", "INVPCID", sets: "INVPCID"),
    Row(11, "rtm", "rtm", "RTM", "transactional memory", sets: "RTM"),
    Row(12, "", "cqm", "RDT-M", "cache monitoring"),
    Row(13, "zero-fcs-fds", "", "FPU CS and FPU DS deprecated", "the FPU saves no CS and DS"),
    Row(14, "mpx", "mpx", "MPX", "memory protection extensions", enable: .mpx, sets: "MPX"),
    Row(15, "", "rdt_a", "RDT-A", "cache allocation"),
    Row(
      16, "avx512f", "avx512f", "AVX512F", "512-bit vectors", enable: .avx512,
      sets: """
        AVX512F_128 AVX512F_128N AVX512F_256 AVX512F_512 AVX512F_KOP AVX512F_SCALAR AVX512BW_128 AVX512BW_128N \
        AVX512BW_256 AVX512BW_512 AVX512BW_KOP AVX512CD_128 AVX512CD_256 AVX512CD_512 AVX512DQ_128 AVX512DQ_128N \
        AVX512DQ_256 AVX512DQ_512 AVX512DQ_KOP AVX512DQ_SCALAR AVX512ER_512 AVX512ER_SCALAR AVX512PF_512 \
        AVX512_4FMAPS_512 AVX512_4FMAPS_SCALAR AVX512_4VNNIW_512 AVX512_BF16_128 AVX512_BF16_256 AVX512_BF16_512 \
        AVX512_BITALG_128 AVX512_BITALG_256 AVX512_BITALG_512 AVX512_FP16_128 AVX512_FP16_128N AVX512_FP16_256 \
        AVX512_FP16_512 AVX512_FP16_SCALAR AVX512_GFNI_128 AVX512_GFNI_256 AVX512_GFNI_512 AVX512_IFMA_128 \
        AVX512_IFMA_256 AVX512_IFMA_512 AVX512_VAES_128 AVX512_VAES_256 AVX512_VAES_512 AVX512_VBMI2_128 \
        AVX512_VBMI2_256 AVX512_VBMI2_512 AVX512_VBMI_128 AVX512_VBMI_256 AVX512_VBMI_512 AVX512_VNNI_128 \
        AVX512_VNNI_256 AVX512_VNNI_512 AVX512_VP2INTERSECT_128 AVX512_VP2INTERSECT_256 AVX512_VP2INTERSECT_512 \
        AVX512_VPCLMULQDQ_128 AVX512_VPCLMULQDQ_256 AVX512_VPCLMULQDQ_512 AVX512_VPOPCNTDQ_128 \
        AVX512_VPOPCNTDQ_256 AVX512_VPOPCNTDQ_512
        """),
    Row(
      17, "avx512dq", "avx512dq", "AVX512DQ", "512-bit doubleword and quadword vectors", enable: .avx512,
      sets: "AVX512DQ_128 AVX512DQ_128N AVX512DQ_256 AVX512DQ_512 AVX512DQ_KOP AVX512DQ_SCALAR"),
    Row(18, "rdseed", "rdseed", "RDSEED", "RDSEED", sets: "RDSEED"),
    Row(19, "adx", "adx", "ADX", "ADCX and ADOX", sets: "ADOX_ADCX"),
    Row(
      20, "smap", "smap", "SMAP", "the supervisor does not touch user pages", enable: .smap, sets: "SMAP",
      tables: "U/S of accessed pages"),
    Row(
      21, "avx512ifma", "avx512ifma", "AVX512_IFMA", "512-bit integer multiply-add", enable: .avx512,
      sets: "AVX512_IFMA_128 AVX512_IFMA_256 AVX512_IFMA_512"),
    Row(22, "pcommit", "", "PCOMMIT", "PCOMMIT, which was withdrawn"),
    Row(23, "clflushopt", "clflushopt", "CLFLUSHOPT", "CLFLUSHOPT", sets: "CLFLUSHOPT"),
    Row(24, "clwb", "clwb", "CLWB", "CLWB", sets: "CLWB"),
    Row(25, "intel-pt", "intel_pt", "Intel Processor Trace", "Processor Trace"),
    Row(26, "avx512pf", "avx512pf", "AVX512PF", "512-bit prefetches", enable: .avx512, sets: "AVX512PF_512"),
    Row(
      27, "avx512er", "avx512er", "AVX512ER", "512-bit exponentials and reciprocals", enable: .avx512,
      sets: "AVX512ER_512 AVX512ER_SCALAR"),
    Row(
      28, "avx512cd", "avx512cd", "AVX512CD", "512-bit conflict detection", enable: .avx512,
      sets: "AVX512CD_128 AVX512CD_256 AVX512CD_512"),
    Row(29, "sha-ni", "sha_ni", "SHA", "SHA-1 and SHA-256 rounds", enable: .sse, sets: "SHA"),
    Row(
      30, "avx512bw", "avx512bw", "AVX512BW", "512-bit byte and word vectors", enable: .avx512,
      sets: "AVX512BW_128 AVX512BW_128N AVX512BW_256 AVX512BW_512 AVX512BW_KOP"),
    Row(
      31, "avx512vl", "avx512vl", "AVX512VL", "AVX-512 on shorter vectors", enable: .avx512,
      sets: """
        AVX512F_128 AVX512F_256 AVX512BW_128 AVX512BW_256 AVX512CD_128 AVX512CD_256 AVX512DQ_128 AVX512DQ_256 \
        AVX512_BF16_128 AVX512_BF16_256 AVX512_BITALG_128 AVX512_BITALG_256 AVX512_FP16_128 AVX512_FP16_256 \
        AVX512_GFNI_128 AVX512_GFNI_256 AVX512_IFMA_128 AVX512_IFMA_256 AVX512_VAES_128 AVX512_VAES_256 \
        AVX512_VBMI2_128 AVX512_VBMI2_256 AVX512_VBMI_128 AVX512_VBMI_256 AVX512_VNNI_128 AVX512_VNNI_256 \
        AVX512_VP2INTERSECT_128 AVX512_VP2INTERSECT_256 AVX512_VPCLMULQDQ_128 AVX512_VPCLMULQDQ_256 \
        AVX512_VPOPCNTDQ_128 AVX512_VPOPCNTDQ_256
        """),
  ]

  static let leaf7ECX: [Row] = [
    Row(0, "", "", "PREFETCHWT1", "PREFETCHWT1", sets: "PREFETCHWT1"),
    Row(
      1, "avx512vbmi", "avx512vbmi", "AVX512_VBMI", "512-bit byte permutes", enable: .avx512,
      sets: "AVX512_VBMI_128 AVX512_VBMI_256 AVX512_VBMI_512"),
    Row(2, "umip", "umip", "UMIP", "user code does not read descriptor-table registers", enable: .umip),
    Row(
      3, "pku", "pku", "PKU", "protection keys of user pages", enable: .pke, sets: "PKU",
      tables: "bits 62:59 of leaf entries (user pages)"),
    Row(4, "", "ospke", "OSPKE", "CR4.PKE is set"),
    Row(5, "waitpkg", "waitpkg", "WAITPKG", "UMONITOR, UMWAIT and TPAUSE", sets: "WAITPKG"),
    Row(
      6, "avx512vbmi2", "avx512_vbmi2", "AVX512_VBMI2", "512-bit byte compression and shifts", enable: .avx512,
      sets: "AVX512_VBMI2_128 AVX512_VBMI2_256 AVX512_VBMI2_512"),
    Row(
      7, "shstk", "", "CET_SS", "shadow stacks", enable: .cet, sets: "CET",
      tables: "D=1 with R/W=0 (shadow-stack pages)"),
    Row(
      8, "gfni", "gfni", "GFNI", "Galois field arithmetic", enable: .sse,
      sets: "GFNI AVX_GFNI AVX512_GFNI_128 AVX512_GFNI_256 AVX512_GFNI_512"),
    Row(
      9, "vaes", "vaes", "VAES", "AES rounds on longer vectors", enable: .avx,
      sets: "VAES AVX512_VAES_128 AVX512_VAES_256 AVX512_VAES_512"),
    Row(
      10, "vpclmulqdq", "vpclmulqdq", "VPCLMULQDQ", "carry-less multiplication on longer vectors", enable: .avx,
      sets: "VPCLMULQDQ AVX512_VPCLMULQDQ_128 AVX512_VPCLMULQDQ_256 AVX512_VPCLMULQDQ_512"),
    Row(
      11, "avx512vnni", "avx512_vnni", "AVX512_VNNI", "512-bit neural network dot products", enable: .avx512,
      sets: "AVX512_VNNI_128 AVX512_VNNI_256 AVX512_VNNI_512"),
    Row(
      12, "avx512bitalg", "avx512_bitalg", "AVX512_BITALG", "512-bit byte and word POPCNT", enable: .avx512,
      sets: "AVX512_BITALG_128 AVX512_BITALG_256 AVX512_BITALG_512"),
    Row(13, "", "tme", "TME_EN", "total memory encryption"),
    Row(
      14, "avx512-vpopcntdq", "avx512_vpopcntdq", "AVX512_VPOPCNTDQ", "512-bit POPCNT", enable: .avx512,
      sets: "AVX512_VPOPCNTDQ_128 AVX512_VPOPCNTDQ_256 AVX512_VPOPCNTDQ_512"),
    la57Row,
    Row(22, "rdpid", "rdpid", "RDPID", "RDPID", sets: "RDPID"),
    Row(23, "", "", "KL", "Key Locker", enable: [.kl, .sse], sets: "KEYLOCKER KEYLOCKER_WIDE"),
    Row(24, "bus-lock-detect", "bus_lock_detect", "BUS_LOCK_DETECT", "#DB on bus locks"),
    Row(25, "cldemote", "cldemote", "CLDEMOTE", "CLDEMOTE", sets: "CLDEMOTE"),
    Row(27, "movdiri", "movdiri", "MOVDIRI", "MOVDIRI"),
    Row(28, "movdir64b", "movdir64b", "MOVDIR64B", "MOVDIR64B"),
    Row(29, "", "enqcmd", "ENQCMD", "ENQCMD and ENQCMDS", sets: "ENQCMD"),
    Row(30, "sgxlc", "sgx_lc", "SGX_LC", "launch control of enclaves"),
    Row(
      31, "pks", "", "PKS", "protection keys of supervisor pages", enable: .pks,
      tables: "bits 62:59 of leaf entries (supervisor pages)"),
  ]

  static let la57Row = Row(
    16, "la57", "la57", "LA57", "57-bit linear addresses", enable: .la57, tables: "the PML5 table")

  static let leaf7EDX: [Row] = [
    Row(1, "", "", "SGX-KEYS", "attestation of enclaves"),
    Row(
      2, "avx512-4vnniw", "avx512_4vnniw", "AVX512_4VNNIW", "512-bit neural network words", enable: .avx512,
      sets: "AVX512_4VNNIW_512"),
    Row(
      3, "avx512-4fmaps", "avx512_4fmaps", "AVX512_4FMAPS", "512-bit fourfold multiply-add", enable: .avx512,
      sets: "AVX512_4FMAPS_512 AVX512_4FMAPS_SCALAR"),
    Row(4, "fsrm", "fsrm", "FSRM", "fast short REP MOV"),
    Row(5, "", "", "UINTR", "user interrupts", enable: .uintr, sets: "UINTR"),
    Row(
      8, "avx512-vp2intersect", "avx512_vp2intersect", "AVX512_VP2INTERSECT", "512-bit intersections",
      enable: .avx512, sets: "AVX512_VP2INTERSECT_128 AVX512_VP2INTERSECT_256 AVX512_VP2INTERSECT_512"),
    Row(9, "", "", "SRBDS_CTRL", "the MSR that ends SRBDS"),
    Row(10, "md-clear", "md_clear", "MD_CLEAR", "VERW clears buffers"),
    Row(11, "", "", "RTM_ALWAYS_ABORT", "transactions always abort"),
    Row(13, "", "", "RTM_FORCE_ABORT", "the MSR that aborts transactions"),
    Row(14, "serialize", "serialize", "SERIALIZE", "SERIALIZE", sets: "SERIALIZE"),
    Row(15, "", "", "Hybrid", "cores of several kinds"),
    Row(16, "tsx-ldtrk", "tsxldtrk", "TSXLDTRK", "suspended load tracking in transactions", sets: "TSX_LDTRK"),
    Row(18, "", "pconfig", "PCONFIG", "PCONFIG", sets: "PCONFIG"),
    Row(19, "arch-lbr", "arch_lbr", "Architectural LBRs", "last-branch records"),
    Row(20, "ibt", "ibt", "CET_IBT", "indirect branch tracking", enable: .cet),
    Row(22, "amx-bf16", "amx_bf16", "AMX-BF16", "bfloat16 tiles", enable: .amx, sets: "AMX_BF16"),
    Row(
      23, "avx512-fp16", "avx512_fp16", "AVX512_FP16", "512-bit half-precision vectors", enable: .avx512,
      sets: "AVX512_FP16_128 AVX512_FP16_128N AVX512_FP16_256 AVX512_FP16_512 AVX512_FP16_SCALAR"),
    Row(24, "amx-tile", "amx_tile", "AMX-TILE", "tiles", enable: .amx, sets: "AMX_TILE AMX_BF16 AMX_INT8"),
    Row(25, "amx-int8", "amx_int8", "AMX-INT8", "8-bit integer tiles", enable: .amx, sets: "AMX_INT8"),
    Row(26, "spec-ctrl", "ibrs ibpb", "IBRS and IBPB", "restricted branch speculation and its barrier"),
    Row(27, "stibp", "stibp", "STIBP", "branch predictors of one thread alone"),
    Row(28, "flush-l1d", "flush_l1d", "L1D_FLUSH", "the MSR that flushes the L1 data cache"),
    Row(29, "arch-capabilities", "arch_capabilities", "IA32_ARCH_CAPABILITIES", "the MSR of that name"),
    Row(30, "core-capability", "", "IA32_CORE_CAPABILITIES", "the MSR of that name"),
    Row(31, "ssbd", "ssbd", "SSBD", "no speculative store bypass"),
  ]

  static let leaf7Subleaf1EAX: [Row] = [
    Row(0, "sha512", "", "SHA512", "SHA-512 rounds", enable: .avx),
    Row(1, "sm3", "", "SM3", "SM3 hash rounds", enable: .avx),
    Row(2, "sm4", "", "SM4", "SM4 cipher rounds", enable: .avx),
    Row(4, "avx-vnni", "avx_vnni", "AVX-VNNI", "neural network dot products", enable: .avx, sets: "AVX_VNNI"),
    Row(
      5, "avx512-bf16", "avx512_bf16", "AVX512_BF16", "512-bit bfloat16 vectors", enable: .avx512,
      sets: "AVX512_BF16_128 AVX512_BF16_256 AVX512_BF16_512"),
    Row(6, "lass", "", "LASS", "linear-address space separation", enable: .lass),
    Row(7, "cmpccxadd", "", "CMPCCXADD", "CMPccXADD"),
    Row(10, "fzrm", "", "FZRM", "fast zero-length REP MOVSB"),
    Row(11, "fsrs", "", "FSRS", "fast short REP STOSB"),
    Row(12, "fsrc", "", "FSRC", "fast short REP CMPSB and SCASB"),
    Row(17, "fred", "", "FRED", "flexible return and event delivery", enable: .fred),
    Row(18, "lkgs", "", "LKGS", "LKGS"),
    Row(19, "wrmsrns", "", "WRMSRNS", "WRMSR that does not serialize"),
    Row(21, "amx-fp16", "", "AMX-FP16", "half-precision tiles", enable: .amx),
    Row(22, "", "", "HRESET", "HRESET", sets: "HRESET"),
    Row(23, "avx-ifma", "", "AVX-IFMA", "integer multiply-add", enable: .avx),
    Row(26, "lam", "lam", "LAM", "linear-address masking", enable: .lamSupervisor, tables: "CR3[62:61]"),
  ]

  static let leaf7Subleaf1EBX: [Row] = [
    Row(0, "", "intel_ppin", "IA32_PPIN", "the processor's inventory number")
  ]

  static let leaf7Subleaf1EDX: [Row] = [
    Row(4, "avx-vnni-int8", "", "AVX-VNNI-INT8", "8-bit neural network dot products", enable: .avx),
    Row(5, "avx-ne-convert", "", "AVX-NE-CONVERT", "half-precision and bfloat16 conversion", enable: .avx),
    Row(8, "amx-complex", "", "AMX-COMPLEX", "complex tiles", enable: .amx),
    Row(10, "avx-vnni-int16", "", "AVX-VNNI-INT16", "16-bit neural network dot products", enable: .avx),
    Row(14, "prefetchiti", "", "PREFETCHI", "prefetch of code"),
    Row(19, "avx10", "", "AVX10", "AVX10", enable: .avx512),
  ]

  static let leaf7Subleaf2EDX: [Row] = [
    Row(0, "intel-psfd", "", "PSFD", "no fast store forwarding"),
    Row(1, "ipred-ctrl", "", "IPRED_CTRL", "control of indirect predictors"),
    Row(2, "rrsba-ctrl", "", "RRSBA_CTRL", "control of return predictors"),
    Row(3, "ddpd-u", "", "DDPD_U", "no data-dependent prefetching"),
    Row(4, "bhi-ctrl", "", "BHI_CTRL", "control of branch history injection"),
    Row(5, "mcdt-no", "", "MCDT_NO", "not affected by MCDT"),
  ]
}
