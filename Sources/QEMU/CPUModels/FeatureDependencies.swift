import X86

/// A feature without which QEMU takes others away (`target/i386/cpu.c: feature_dependencies`, 7.2).
struct FeatureDependency: Sendable {
  var needed: FeatureBit
  var word: FeatureWord
  /// The bits of `word` that go.
  var mask: UInt64

  init(_ needed: FeatureBit, _ word: FeatureWord, _ mask: UInt64 = ~0) {
    self.needed = needed
    self.word = word
    self.mask = mask
  }

  /// In the order in which QEMU applies them, so that what one takes away the next one misses.
  static let all: [Self] = [
    Self(FeatureBit(.cpuid(7, 0, .edx), 29), .msr(0x10A)), Self(FeatureBit(.cpuid(7, 0, .edx), 30), .msr(0xCF)),
    Self(FeatureBit(.cpuid(1, 0, .ecx), 15), .msr(0x345)),
    Self(vmx, .msr(0x48E)), Self(vmx, .msr(0x48D)), Self(vmx, .msr(0x48F)), Self(vmx, .msr(0x490)),
    Self(vmx, .msr(0x485)), Self(vmx, .msr(0x480)),
    Self(ProcessorFeature.lm.bit, .msr(0x490), 1 << 9),
    Self(FeatureBit(.msr(0x48E), 31), secondary),
    Self(FeatureBit(.cpuid(0xD, 1, .eax), 3), secondary, 1 << 20),
    Self(FeatureBit(.cpuid(1, 0, .ecx), 30), secondary, 1 << 11),
    Self(FeatureBit(.cpuid(7, 0, .ebx), 10), secondary, 1 << 12),
    Self(FeatureBit(.cpuid(7, 0, .ebx), 14), .msr(0x48F), 1 << 23),
    Self(FeatureBit(.cpuid(7, 0, .ebx), 14), .msr(0x490), 1 << 16),
    Self(FeatureBit(.cpuid(7, 0, .ebx), 18), secondary, 1 << 16),
    Self(FeatureBit(.cpuid(7, 0, .ebx), 25), .cpuid(0x14, 0, .ecx)),
    Self(FeatureBit(.cpuid(0x8000_0001, 0, .edx), 27), secondary, 1 << 3),
    Self(FeatureBit(secondary, 1), .msr(0x48C), 0xFFFF_FFFF), Self(FeatureBit(secondary, 1), secondary, 1 << 7),
    Self(FeatureBit(secondary, 5), .msr(0x48C), 0xFFFF_FFFF << 32),
    Self(FeatureBit(secondary, 13), .msr(0x491)),
    Self(FeatureBit(.cpuid(0x8000_0001, 0, .ecx), 2), .cpuid(0x8000_000A, 0, .edx)),
  ]

  private static let vmx = FeatureBit(.cpuid(1, 0, .ecx), 5)
  private static let secondary = FeatureWord.msr(0x48B)
}

/// A state component of XSAVE, which QEMU gives a guest that has its feature (`x86_ext_save_areas`, 7.2).
struct StateComponent: Sendable {
  /// The bit in XCR0, or in IA32_XSS for those of the supervisor.
  var number: Int
  var feature: FeatureBit
  var isSupervisor = false

  /// Where CPUID announces it.
  var bit: FeatureBit {
    switch (isSupervisor, number) {
    case (false, ..<32): FeatureBit(.cpuid(0xD, 0, .eax), number)
    case (false, _): FeatureBit(.cpuid(0xD, 0, .edx), number - 32)
    case (true, ..<32): FeatureBit(.cpuid(0xD, 1, .ecx), number)
    case (true, _): FeatureBit(.cpuid(0xD, 1, .edx), number - 32)
    }
  }

  static let xsave = FeatureBit(.cpuid(1, 0, .ecx), 26)
  /// The words that hold nothing but components.
  static let words: [FeatureWord] = [
    .cpuid(0xD, 0, .eax), .cpuid(0xD, 0, .edx), .cpuid(0xD, 1, .ecx), .cpuid(0xD, 1, .edx),
  ]

  static let all: [Self] = [
    Self(number: 0, feature: xsave), Self(number: 1, feature: xsave),
    Self(number: 2, feature: FeatureBit(.cpuid(1, 0, .ecx), 28)),
    Self(number: 3, feature: FeatureBit(.cpuid(7, 0, .ebx), 14)),
    Self(number: 4, feature: FeatureBit(.cpuid(7, 0, .ebx), 14)),
    Self(number: 5, feature: FeatureBit(.cpuid(7, 0, .ebx), 16)),
    Self(number: 6, feature: FeatureBit(.cpuid(7, 0, .ebx), 16)),
    Self(number: 7, feature: FeatureBit(.cpuid(7, 0, .ebx), 16)),
    Self(number: 9, feature: FeatureBit(.cpuid(7, 0, .ecx), 3)),
    Self(number: 15, feature: FeatureBit(.cpuid(7, 0, .edx), 19), isSupervisor: true),
    Self(number: 17, feature: FeatureBit(.cpuid(7, 0, .edx), 24)),
    Self(number: 18, feature: FeatureBit(.cpuid(7, 0, .edx), 24)),
  ]
}
