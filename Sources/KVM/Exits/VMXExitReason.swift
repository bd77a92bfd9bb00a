/// Why an Intel guest was left: the basic exit reasons of SDM vol. 3, appendix C, under the names that KVM prints.
///
/// Source: VMX_EXIT_REASONS of arch/x86/include/uapi/asm/vmx.h, Linux 6.19.
public enum VMXExitReason {
  /// Set in the exit reason when the VM entry itself failed (SDM vol. 3, 26.8).
  public static let failedEntry: UInt32 = 1 << 31

  public static let exceptionOrNMI: UInt32 = 0
  public static let tripleFault: UInt32 = 2
  public static let invalidGuestState: UInt32 = 33
  public static let eptViolation: UInt32 = 48
  public static let eptMisconfiguration: UInt32 = 49

  /// The name of a reason, without the flags above bit 15; nil if KVM has none for it.
  public static func name(of reason: UInt32) -> String? { names.name(of: reason & 0xffff) }

  /// The reason of this name.
  public static func reason(named name: String) -> UInt32? {
    // As trace-cmd's plugin and kernels before 5.6 call it.
    names.value(named: name == "PENDING_INTERRUPT" ? "INTERRUPT_WINDOW" : name)
  }

  private static let names = NameTable([
    (0, "EXCEPTION_NMI"), (1, "EXTERNAL_INTERRUPT"), (2, "TRIPLE_FAULT"), (3, "INIT_SIGNAL"), (4, "SIPI_SIGNAL"),
    (7, "INTERRUPT_WINDOW"), (8, "NMI_WINDOW"), (9, "TASK_SWITCH"), (10, "CPUID"), (12, "HLT"), (13, "INVD"),
    (14, "INVLPG"), (15, "RDPMC"), (16, "RDTSC"), (18, "VMCALL"), (19, "VMCLEAR"), (20, "VMLAUNCH"),
    (21, "VMPTRLD"), (22, "VMPTRST"), (23, "VMREAD"), (24, "VMRESUME"), (25, "VMWRITE"), (26, "VMOFF"),
    (27, "VMON"), (28, "CR_ACCESS"), (29, "DR_ACCESS"), (30, "IO_INSTRUCTION"), (31, "MSR_READ"), (32, "MSR_WRITE"),
    (33, "INVALID_STATE"), (34, "MSR_LOAD_FAIL"), (36, "MWAIT_INSTRUCTION"), (37, "MONITOR_TRAP_FLAG"),
    (39, "MONITOR_INSTRUCTION"), (40, "PAUSE_INSTRUCTION"), (41, "MCE_DURING_VMENTRY"), (43, "TPR_BELOW_THRESHOLD"),
    (44, "APIC_ACCESS"), (45, "EOI_INDUCED"), (46, "GDTR_IDTR"), (47, "LDTR_TR"), (48, "EPT_VIOLATION"),
    (49, "EPT_MISCONFIG"), (50, "INVEPT"), (51, "RDTSCP"), (52, "PREEMPTION_TIMER"), (53, "INVVPID"),
    (54, "WBINVD"), (55, "XSETBV"), (56, "APIC_WRITE"), (57, "RDRAND"), (58, "INVPCID"), (59, "VMFUNC"),
    (60, "ENCLS"), (61, "RDSEED"), (62, "PML_FULL"), (63, "XSAVES"), (64, "XRSTORS"), (67, "UMWAIT"),
    (68, "TPAUSE"), (74, "BUS_LOCK"), (75, "NOTIFY"), (77, "TDCALL"), (84, "MSR_READ_IMM"), (85, "MSR_WRITE_IMM"),
  ])
}
