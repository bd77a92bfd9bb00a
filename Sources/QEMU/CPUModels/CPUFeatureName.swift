/// A processor feature or property as QEMU calls it: `pdpe1gb`, `nx`, `la57`, `phys-bits`.
///
/// Underscores become dashes and QEMU's aliases become the name they stand for, so that equal features are equal
/// (`target/i386/cpu.c: feat2prop, x86_cpu_initfn`, 7.2; `xd` and `i64` checked live).
public struct CPUFeatureName: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral {
  public let rawValue: String

  public init(rawValue: String) { self.init(rawValue) }

  public init(stringLiteral value: String) { self.init(value) }

  public init(_ spelling: String) {
    let dashed = String(spelling.map { $0 == "_" ? "-" : $0 })
    rawValue = Self.aliases[dashed] ?? dashed
  }

  /// 1 GiB pages, CPUID 0x80000001.EDX[26].
  public static let pdpe1gb: Self = "pdpe1gb"
  /// Execute-disable, CPUID 0x80000001.EDX[20].
  public static let nx: Self = "nx"
  /// Long mode, CPUID 0x80000001.EDX[29].
  public static let lm: Self = "lm"
  /// Five-level paging, CPUID 7.ECX[16].
  public static let la57: Self = "la57"
  /// 36-bit physical addresses with 4 MiB pages, CPUID 1.EDX[17].
  public static let pse36: Self = "pse36"

  private static let aliases = [
    "xd": "nx", "i64": "lm", "ffxsr": "fxsr-opt", "sse3": "pni", "pclmuldq": "pclmulqdq",
    "sse4-1": "sse4.1", "sse4-2": "sse4.2", "hv-apicv": "hv-avic", "tsc-freq": "tsc-frequency",
  ]
}
