import SystemPackage
public import X86

/// This machine's processor as Linux sees it.
public struct HostProcessor: Hashable, Sendable {
  /// CPUID's vendor, such as `AuthenticAMD`.
  public var vendor: String
  /// Linux's names of the features in use.
  public var flags: Set<String>
  /// Where this was read.
  public let source = "/proc/cpuinfo"

  /// Reads /proc/cpuinfo, of the first processor; nil where it is not to be had.
  public static func current() -> HostProcessor? {
    guard let text = try? wholeText(FilePath("/proc/cpuinfo")) else { return nil }
    return HostProcessor(cpuinfo: text)
  }

  /// Takes the first `vendor_id` and `flags` lines of /proc/cpuinfo; nil where either is missing.
  init?(cpuinfo text: String) {
    func value(of key: String) -> Substring? {
      let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
      return line?.split(separator: ":", maxSplits: 1).dropFirst().first
    }
    guard let vendor = value(of: "vendor_id"), let flags = value(of: "flags") else { return nil }
    self.vendor = String(vendor.drop { $0 == " " })
    self.flags = Set(flags.split(separator: " ").map(String.init))
  }

  public func has(_ feature: CPUIDFeature) -> Bool { flags.contains(feature.linuxName) }

  /// Whether the vendor is AMD or Hygon.
  public var isAMD: Bool { vendor == "AuthenticAMD" || vendor == "HygonGenuine" }
}
