/// A processor as Linux's /proc/cpuinfo describes it.
public struct LinuxProcessor: Hashable, Sendable {
  /// CPUID's vendor, such as `AuthenticAMD`.
  public var vendor: String
  /// Linux's names of the features in use.
  public var flags: Set<String>
  /// MAXPHYADDR, of the line `address sizes`; nil where there is none.
  public var physicalAddressBits: Int?

  /// Takes the first processor of the file's text; nil where it has no `vendor_id` or no `flags`.
  public init?(cpuinfo text: String) {
    var values: [Substring: Substring] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, let key = parts[0].split(whereSeparator: { $0 == "\t" }).first else { continue }
      if values[key] == nil { values[key] = parts[1].drop { $0 == " " } }
    }
    guard let vendor = values["vendor_id"], let flags = values["flags"] else { return nil }
    self.vendor = String(vendor)
    self.flags = Set(flags.split(separator: " ").map { String($0) })
    physicalAddressBits = values["address sizes"]?.split(separator: " ").first.flatMap { Int($0) }
  }

  /// Whether Linux uses the feature; false for one that it has no flag for.
  public func has(_ feature: ProcessorFeature) -> Bool { feature.linuxNames.contains { flags.contains($0) } }

  /// Whether the vendor is AMD or Hygon.
  public var isAMD: Bool { vendor == "AuthenticAMD" || vendor == "HygonGenuine" }

  /// What the flags say of CPUID.
  public var features: FeatureReport { FeatureReport(linuxFlags: flags, isAMD: isAMD) }
}
