public import X86

/// A property of a QEMU CPU: a feature such as `pdpe1gb`, `nx` or `la57`, or a setting such as `phys-bits`.
///
/// Underscores become dashes and QEMU's aliases become the name they stand for, so that equal features are equal
/// (`target/i386/cpu.c: feat2prop, x86_cpu_initfn`, 7.2; `xd` and `i64` checked live).
public struct CPUFeatureName: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral {
  public let rawValue: String

  public init(rawValue: String) { self.init(rawValue) }

  public init(stringLiteral value: String) { self.init(value) }

  public init(_ spelling: String) {
    let dashed = String(spelling.map { $0 == "_" ? "-" : $0 })
    rawValue =
      ProcessorFeature.named(inQEMU: dashed).first?.qemuName ?? ProcessorFeature.named(inQEMU: spelling).first?.qemuName
      ?? Self.settingAliases[dashed] ?? dashed
  }

  public init?(_ feature: ProcessorFeature) {
    guard let name = feature.qemuName else { return nil }
    self.init(name)
  }

  /// The bits that the property sets; none for a setting. `kvmclock` is two bits, all others are one.
  public var bits: [FeatureBit] { ProcessorFeature.named(inQEMU: rawValue).map(\.bit) }

  /// 1 GiB pages, CPUID 0x80000001.EDX[26].
  public static let pdpe1gb: Self = "pdpe1gb"
  /// Execute-disable, CPUID 0x80000001.EDX[20].
  public static let nx: Self = "nx"
  /// Five-level paging, CPUID 7.ECX[16].
  public static let la57: Self = "la57"

  private static let settingAliases = ["hv-apicv": "hv-avic", "tsc-freq": "tsc-frequency"]
}
