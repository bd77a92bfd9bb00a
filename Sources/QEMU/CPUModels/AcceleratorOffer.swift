public import X86

/// What an accelerator can give a guest on one host.
public struct AcceleratorOffer: Hashable, Sendable {
  /// Where KVM's guest has its interrupt controllers (`-machine kernel-irqchip=on`, `split` or `off`).
  public enum InterruptControllers: String, Hashable, Sendable {
    case inKernel = "on"
    case split
    case inQEMU = "off"
  }

  public var accelerator: Accelerator
  public var interruptControllers = InterruptControllers.inKernel
  public var features: FeatureSet
  /// What `host` and `max` do not turn on by themselves (`no_autoenable_flags`): the accelerator's host decides them.
  public var featuresOnRequest: FeatureSet
  /// CPUID's vendor of the host, which a guest sees under KVM; nil where it does not matter or is not known.
  public var vendor: String?
  /// The signature that `host` and `max` have; nil where it is not known.
  public var signature: ProcessorSignature?
  /// MAXPHYADDR of the host's processor; nil where it does not matter or is not known.
  public var physicalAddressBits: Int?
  /// The highest leaves that the accelerator knows, for `host` and `max`.
  public var level: UInt32
  public var extendedLevel: UInt32

  public init(
    accelerator: Accelerator, features: FeatureSet, featuresOnRequest: FeatureSet = FeatureSet(), vendor: String? = nil,
    signature: ProcessorSignature? = nil, physicalAddressBits: Int? = nil, level: UInt32 = 0,
    extendedLevel: UInt32 = 0
  ) {
    self.accelerator = accelerator
    self.features = features
    self.featuresOnRequest = featuresOnRequest
    self.vendor = vendor
    self.signature = signature
    self.physicalAddressBits = physicalAddressBits
    self.level = level
    self.extendedLevel = extendedLevel
  }

  /// What TCG of the table's QEMU offers, on any host (`target/i386/cpu.c: max_x86_cpu_initfn`, 7.2).
  public static func tcg(_ table: CPUModelTable) -> Self {
    Self(
      accelerator: .tcg, features: table.tcgFeatures, vendor: "AuthenticAMD",
      signature: ProcessorSignature(family: 15, model: 107, stepping: 1))
  }
}

/// What /dev/kvm says of itself, as far as QEMU goes by it.
public struct KVMCapabilities: Hashable, Sendable {
  /// KVM_GET_SUPPORTED_CPUID.
  public var supportedCPUID: CPUID
  /// KVM_CAP_TSC_DEADLINE_TIMER.
  public var hasTSCDeadlineTimer: Bool
  /// KVM_GET_MSR_INDEX_LIST.
  public var msrs: Set<UInt32>
  /// KVM_GET_MSRS of what KVM_GET_MSR_FEATURE_INDEX_LIST names.
  public var featureMSRs: [UInt32: UInt64]
  /// KVM_X86_XCOMP_GUEST_SUPP: the XCR0 bits that a guest may have once QEMU asked for them; nil before Linux 5.17.
  public var guestXCR0: UInt64?

  public init(
    supportedCPUID: CPUID, hasTSCDeadlineTimer: Bool, msrs: Set<UInt32>, featureMSRs: [UInt32: UInt64],
    guestXCR0: UInt64?
  ) {
    self.supportedCPUID = supportedCPUID
    self.hasTSCDeadlineTimer = hasTSCDeadlineTimer
    self.msrs = msrs
    self.featureMSRs = featureMSRs
    self.guestXCR0 = guestXCR0
  }
}

extension AcceleratorOffer {
  /// What QEMU offers a guest of what KVM supports (`target/i386/kvm/kvm.c: kvm_arch_get_supported_cpuid,
  /// kvm_arch_get_supported_msr_feature`, 7.2).
  ///
  /// - Parameters:
  ///   - host: What CPUID says on the host; incomplete where that is not known.
  public static func kvm(
    _ kvm: KVMCapabilities, host: CPUID, interruptControllers: InterruptControllers = .inKernel
  ) -> Self {
    var features = FeatureSet()
    for word in ProcessorFeature.featureWords + StateComponent.words { features[word] = supported(word, kvm) }
    adjust(&features, kvm, host: host, interruptControllers)
    var offer = Self(
      accelerator: .kvm, features: features,
      featuresOnRequest: [
        .cpuid(0x8000_0001, 0, .ecx): 1 << 22, .cpuid(0x4000_0001, 0, .edx): 0xFFFF_FFFF, .msr(0x480): 1 << 49,
      ],
      vendor: host.vendor, signature: host[leaf: 1].map { ProcessorSignature(eax: $0.eax) },
      physicalAddressBits: host.maximumPhysicalAddressBits, level: kvm.supportedCPUID[leaf: 0]?.eax ?? 0,
      extendedLevel: kvm.supportedCPUID[leaf: 0x8000_0000]?.eax ?? 0)
    offer.interruptControllers = interruptControllers
    return offer
  }

  private static func supported(_ word: FeatureWord, _ kvm: KVMCapabilities) -> UInt64 {
    switch word {
    case .cpuid(let leaf, let subleaf, let register):
      UInt64(kvm.supportedCPUID[leaf: leaf, subleaf: subleaf]?[register] ?? 0)
    case .msr(let index): kvm.featureMSRs[index].map { value(ofMSR: index, $0, kvm) } ?? 0
    }
  }

  /// VMX controls: what can be one and need not be. KVM once forgot some secondary controls.
  private static func value(ofMSR index: UInt32, _ value: UInt64, _ kvm: KVMCapabilities) -> UInt64 {
    switch index {
    case 0x48B, 0x48D...0x490:
      var allowed = value >> 32
      if index == 0x48B, !kvm.msrs.contains(index) { allowed |= forgottenControls(kvm.supportedCPUID) }
      return allowed & ~(value & 0xFFFF_FFFF)
    default: return value
    }
  }

  private static func forgottenControls(_ cpuid: CPUID) -> UInt64 {
    let pairs: [(FeatureBit, Int)] = [
      (FeatureBit(.cpuid(0xD, 1, .ecx), 3), 20), (FeatureBit(.cpuid(1, 0, .ecx), 30), 11),
      (FeatureBit(.cpuid(7, 0, .ebx), 10), 12), (FeatureBit(.cpuid(7, 0, .ebx), 18), 16),
      (FeatureBit(.cpuid(0x8000_0001, 0, .edx), 27), 3),
    ]
    return pairs.reduce(0) { cpuid.has($1.0) == true ? $0 | 1 << UInt64($1.1) : $0 }
  }

  private static func adjust(
    _ features: inout FeatureSet, _ kvm: KVMCapabilities, host: CPUID, _ controllers: InterruptControllers
  ) {
    // KVM before 2.6.30 left these out; the hypervisor bit and TOPOEXT it need not name; ARAT is safe with a virtual APIC.
    features[.cpuid(1, 0, .edx)] |= 1 << 12 | 1 << 16 | 1 << 7 | 1 << 14
    features[.cpuid(1, 0, .ecx)] |= 1 << 31
    features[.cpuid(6, 0, .eax)] |= 1 << 2
    features[.cpuid(0x8000_0001, 0, .ecx)] |= 1 << 22
    features[.cpuid(0x4000_0001, 0, .edx)] |= 1
    features[.cpuid(0x8000_0001, 0, .edx)] |= features[.cpuid(1, 0, .edx)] & FeatureWord.repeatedByAMD
    if controllers == .inQEMU {
      features[.cpuid(1, 0, .ecx)] &= ~(1 << 21)
      features[.cpuid(0x4000_0001, 0, .eax)] &= ~(1 << 7)
    } else if kvm.hasTSCDeadlineTimer {
      features[.cpuid(1, 0, .ecx)] |= 1 << 24
    }
    if controllers == .split { features[.cpuid(0x4000_0001, 0, .eax)] |= 1 << 15 }
    // Linux 4.17 to 4.20 announce it on AMD hosts, where there is no such MSR.
    if !kvm.msrs.contains(0x10A) { features[.cpuid(7, 0, .edx)] &= ~(1 << 29) }
    if hasBrokenTSX(host) { features[.cpuid(7, 0, .ebx)] &= ~(1 << 4 | 1 << 11) }
    if let xcr0 = kvm.guestXCR0 {
      features[.cpuid(0xD, 0, .eax)] = xcr0 & 0xFFFF_FFFF
      features[.cpuid(0xD, 0, .edx)] = xcr0 >> 32
    }
  }

  /// `host_tsx_broken`: Haswell before stepping 4 of model 63.
  private static func hasBrokenTSX(_ host: CPUID) -> Bool {
    guard host.vendor == "GenuineIntel", let eax = host[leaf: 1]?.eax else { return false }
    let signature = ProcessorSignature(eax: eax)
    guard signature.family == 6 else { return false }
    return signature.model == 63 && signature.stepping < 4 || [60, 69, 70].contains(signature.model)
  }
}
