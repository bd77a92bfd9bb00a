/// A register's worth of features: what one register of a CPUID leaf, or a capability MSR, says of the processor.
public enum FeatureWord: Hashable, Sendable {
  /// 32 bits of CPUID; the subleaf is 0 for a leaf that has none.
  case cpuid(leaf: UInt32, subleaf: UInt32, register: CPUIDRegister)
  /// 64 bits of an MSR that tells what the processor can do, such as IA32_ARCH_CAPABILITIES (10AH).
  case msr(UInt32)

  public static func cpuid(_ leaf: UInt32, _ subleaf: UInt32 = 0, _ register: CPUIDRegister) -> Self {
    .cpuid(leaf: leaf, subleaf: subleaf, register: register)
  }

  /// Those bits of 80000001H:EDX that AMD's processors repeat from 1:EDX (APM vol. 3, appendix E.4.2; QEMU's
  /// CPUID_EXT2_AMD_ALIASES).
  public static let repeatedByAMD: UInt64 = 0x0183_F3FF

  /// How many bits it has, 32 or 64.
  public var width: Int {
    switch self {
    case .cpuid: 32
    case .msr: 64
    }
  }
}

/// One bit of a feature word.
public struct FeatureBit: Hashable, Sendable {
  public var word: FeatureWord
  /// 0 to 31, or to 63 for an MSR.
  public var bit: Int

  public init(_ word: FeatureWord, _ bit: Int) {
    self.word = word
    self.bit = bit
  }

  public var mask: UInt64 { 1 << UInt64(truncatingIfNeeded: bit) }
}

extension FeatureWord: CustomStringConvertible {
  /// As the SDM writes it: `CPUID.80000001H:EDX`, `CPUID.(EAX=07H,ECX=1):EAX`, `MSR 10AH`.
  public var description: String {
    switch self {
    case .cpuid(let leaf, 0, let register): "CPUID.\(hexadecimal(leaf)):\(register.name)"
    case .cpuid(let leaf, let subleaf, let register):
      "CPUID.(EAX=\(hexadecimal(leaf)),ECX=\(subleaf)):\(register.name)"
    case .msr(let index): "MSR \(hexadecimal(index))"
    }
  }

  private func hexadecimal(_ number: UInt32) -> String {
    let digits = String(number, radix: 16, uppercase: true)
    return (digits.utf8.count < 2 ? "0" : "") + digits + "H"
  }
}

extension FeatureBit: CustomStringConvertible {
  /// As the SDM writes it: `CPUID.80000001H:EDX[26]`.
  public var description: String { "\(word)[\(bit)]" }
}

extension CPUIDRegister {
  /// `EAX`, `EBX`, `ECX` or `EDX`.
  public var name: String {
    switch self {
    case .eax: "EAX"
    case .ebx: "EBX"
    case .ecx: "ECX"
    case .edx: "EDX"
    }
  }
}
