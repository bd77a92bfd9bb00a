import X86

/// `cpu.unknown-msr`: a model-specific register that the guest's processor does not have.
struct UnknownMSR: CauseOfDeath, SingleCause {
  static let id = "cpu.unknown-msr"
  static let title = "The processor does not have the model-specific register"

  private let fault: FirstFault
  private let scene: Scene
  private let index: UInt32
  private let value: UInt64?

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .unknownMSR(let index, let write) = fault.exception.reason else { return nil }
    self.fault = fault
    self.scene = scene
    self.index = index
    value = write
  }

  private var name: String { KnownMSR.words(index) }

  /// The features that announce the register, as far as they are known.
  private var features: [ProcessorFeature] {
    KnownMSR.named[index]?.features.flatMap { ProcessorFeature.named($0) } ?? []
  }

  var summary: String {
    let reason: String
    if let feature = features.first {
      let decision = scene.decision(on: feature)
      let account =
        decision.isOn == false
        ? "this guest's processor does not have, \(decision.words)" : "a guest has to ask for first"
      reason = "It comes with \(feature.manualName), \(feature.bit) (\(feature.name)), which \(account)."
    } else {
      reason = "CPUID, or the processor's model, tells which there are."
    }
    guard let value else { return "\(fault.instructionName) reads \(name), which is not there: #GP. \(reason)" }
    return
      "\(fault.instructionName) writes \(value.hexadecimal) to \(name), which is not there or cannot take the value: #GP. "
      + reason
  }

  var remedies: [Remedy] {
    let asking =
      features.first.map { "ask CPUID for \($0.manualName), \($0.bit), before using \(name)" }
      ?? KnownMSR.named[index]?.check.map { "ask \($0) before using \(name)" }
      ?? "use \(name) only on the processors that have it, or be ready to take #GP"
    let fallback = Remedy.guest(asking, "The guest then runs on every processor.")
    let ignoring = Remedy.host(
      "load kvm with ignore_msrs=1",
      "KVM then reads 0 from MSRs that it does not know and drops writes; the guest goes on with what it made of that.")
    let isWanted = features.first.map { scene.decision(on: $0).isOn == false } ?? false
    let offers =
      isWanted
      ? features.prefix(1).flatMap { scene.remedies(offering: $0, purpose: $0.manualName, fallback: fallback) }
      : [fallback]
    return offers + [ignoring]
  }

  var evidence: [Evidence] { features.first.map { [scene.evidence(of: $0)] } ?? [] }

  var circumstances: [Evidence] {
    [
      Evidence(
        "TCG answers 0 for an MSR that it does not know, and drops writes: the guest would go on there",
        .assumed("QEMU 7.2 target/i386/tcg/sysemu/misc_helper.c: helper_rdmsr, measured"))
    ]
  }
}

/// MSRs by the name that people know them by, with what announces them (SDM vol. 4, table 2-2; APM vol. 2, appendix A; Linux
/// arch/x86/include/uapi/asm/kvm_para.h).
struct KnownMSR {
  var name: String
  /// The features of which one announces it; empty where CPUID has none in the feature table.
  var features: [String]
  /// What else tells whether it is there.
  var check: String?

  init(_ name: String, by features: [String] = [], check: String? = nil) {
    self.name = name
    self.features = features
    self.check = check
  }

  static let named: [UInt32: KnownMSR] = {
    var names: [UInt32: KnownMSR] = [
      0x10: KnownMSR("IA32_TIME_STAMP_COUNTER", by: ["tsc"]), 0x17: KnownMSR("IA32_PLATFORM_ID"),
      0x1B: KnownMSR("IA32_APIC_BASE", by: ["apic"]), 0x34: KnownMSR("MSR_SMI_COUNT"),
      0x35: KnownMSR("MSR_CORE_THREAD_COUNT"), 0x3A: KnownMSR("IA32_FEATURE_CONTROL", by: ["vmx"]),
      0x3B: KnownMSR("IA32_TSC_ADJUST", by: ["tsc-adjust"]), 0x48: KnownMSR("IA32_SPEC_CTRL", by: ["spec-ctrl"]),
      0x49: KnownMSR("IA32_PRED_CMD", by: ["spec-ctrl"]), 0x79: KnownMSR("IA32_BIOS_UPDT_TRIG"),
      0x8B: KnownMSR("IA32_BIOS_SIGN_ID"), 0xCE: KnownMSR("MSR_PLATFORM_INFO"),
      0xCF: KnownMSR("IA32_CORE_CAPABILITIES", by: ["core-capability"]),
      0xE1: KnownMSR("IA32_UMWAIT_CONTROL", by: ["waitpkg"]),
      0xE2: KnownMSR("MSR_PKG_CST_CONFIG_CONTROL"), 0xE7: KnownMSR("IA32_MPERF", check: "CPUID.06H:ECX[0]"),
      0xE8: KnownMSR("IA32_APERF", check: "CPUID.06H:ECX[0]"), 0xFE: KnownMSR("IA32_MTRRCAP", by: ["mtrr"]),
      0x10A: KnownMSR("IA32_ARCH_CAPABILITIES", by: ["arch-capabilities"]),
      0x10B: KnownMSR("IA32_FLUSH_CMD", by: ["flush-l1d"]), 0x122: KnownMSR("IA32_TSX_CTRL"),
      0x174: KnownMSR("IA32_SYSENTER_CS", by: ["sep"]), 0x175: KnownMSR("IA32_SYSENTER_ESP", by: ["sep"]),
      0x176: KnownMSR("IA32_SYSENTER_EIP", by: ["sep"]), 0x179: KnownMSR("IA32_MCG_CAP", by: ["mca"]),
      0x17A: KnownMSR("IA32_MCG_STATUS", by: ["mca"]),
      0x198: KnownMSR("IA32_PERF_STATUS", check: "CPUID.01H:ECX[7] (EIST)"),
      0x199: KnownMSR("IA32_PERF_CTL", check: "CPUID.01H:ECX[7] (EIST)"),
      0x19A: KnownMSR("IA32_CLOCK_MODULATION", by: ["acpi"]), 0x19B: KnownMSR("IA32_THERM_INTERRUPT", by: ["acpi"]),
      0x19C: KnownMSR("IA32_THERM_STATUS", check: "CPUID.06H:EAX[0] (a digital thermal sensor)"),
      0x1A0: KnownMSR("IA32_MISC_ENABLE"), 0x1A2: KnownMSR("MSR_TEMPERATURE_TARGET"),
      0x1B1: KnownMSR("IA32_PACKAGE_THERM_STATUS", check: "CPUID.06H:EAX[6]"), 0x1D9: KnownMSR("IA32_DEBUGCTL"),
      0x277: KnownMSR("IA32_PAT", by: ["pat"]), 0x2FF: KnownMSR("IA32_MTRR_DEF_TYPE", by: ["mtrr"]),
      0x345: KnownMSR("IA32_PERF_CAPABILITIES", by: ["pdcm"]),
      0x38F: KnownMSR("IA32_PERF_GLOBAL_CTRL", check: "CPUID.0AH:EAX"),
      0x480: KnownMSR("IA32_VMX_BASIC", by: ["vmx"]), 0x606: KnownMSR("MSR_RAPL_POWER_UNIT"),
      0x611: KnownMSR("MSR_PKG_ENERGY_STATUS"), 0x6A0: KnownMSR("IA32_U_CET", by: ["shstk", "ibt"]),
      0x6A2: KnownMSR("IA32_S_CET", by: ["shstk", "ibt"]), 0x6E0: KnownMSR("IA32_TSC_DEADLINE", by: ["tsc-deadline"]),
      0x6E1: KnownMSR("IA32_PKRS", by: ["pks"]), 0xD90: KnownMSR("IA32_BNDCFGS", by: ["mpx"]),
      0xDA0: KnownMSR("IA32_XSS", by: ["xsaves"]), 0xC000_0080: KnownMSR("IA32_EFER", by: ["lm", "nx", "syscall"]),
      0xC000_0081: KnownMSR("IA32_STAR", by: ["syscall"]), 0xC000_0082: KnownMSR("IA32_LSTAR", by: ["lm"]),
      0xC000_0083: KnownMSR("IA32_CSTAR", by: ["lm"]), 0xC000_0084: KnownMSR("IA32_FMASK", by: ["lm"]),
      0xC000_0100: KnownMSR("IA32_FS_BASE", by: ["lm"]), 0xC000_0101: KnownMSR("IA32_GS_BASE", by: ["lm"]),
      0xC000_0102: KnownMSR("IA32_KERNEL_GS_BASE", by: ["lm"]),
      0xC000_0103: KnownMSR("IA32_TSC_AUX", by: ["rdtscp", "rdpid"]),
      0xC000_0104: KnownMSR("TSC_RATIO", by: ["tsc-scale"]), 0xC001_0015: KnownMSR("HWCR (AMD)"),
      0xC001_0117: KnownMSR("VM_HSAVE_PA (AMD)", by: ["svm"]),
      0xC001_011F: KnownMSR("VIRT_SPEC_CTRL (AMD)", by: ["virt-ssbd"]),
      0xC001_0131: KnownMSR("SEV_STATUS (AMD)", by: ["sev"]),
      0x4B56_4D00: KnownMSR("MSR_KVM_WALL_CLOCK_NEW", by: ["kvmclock"]),
      0x4B56_4D01: KnownMSR("MSR_KVM_SYSTEM_TIME_NEW", by: ["kvmclock"]),
    ]
    for index in UInt32(0x800)...0x8FF {
      names[index] = KnownMSR("x2APIC register \((index - 0x800).hexadecimal)", by: ["x2apic"])
    }
    return names
  }()
}

extension UnknownMSR {
  static let manual = """
    RDMSR or WRMSR of a model-specific register that this processor does not have, or that cannot take the value: #GP with error code
    0. The trace shows it: `kvm_msr: msr_read 19c = 0x0 (#GP)`.

    Which MSRs there are hangs on the model; CPUID announces the architectural ones (SDM vol. 4, 2.1; APM vol. 2, appendix A). KVM
    knows those that guests need and refuses the others: temperature, power, performance states, platform information.

    ## Where

    KVM, unless the host's administrator loaded kvm with `ignore_msrs=1`: it then reads 0 and drops writes, with a line in the
    host's log (`ignored rdmsr: 0x19c data 0x0`). QEMU's TCG reads 0 from any MSR that it does not know.

    Without a trace an RDMSR at which a guest died is only *likely* the reason: nothing else can have raised an exception there
    while interrupts are off.

    ## The cure

    Ask CPUID first; or read the MSR with a handler for #GP in place, as kernels do (`rdmsr_safe`). Where a feature announces the MSR
    (IA32_TSC_ADJUST: `tsc-adjust`), the CPU model can have it.

    ## Try it

    The guest `msr-not-there` in `Guests/`, under KVM.
    """
}
