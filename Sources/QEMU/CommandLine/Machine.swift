/// What executes the guest's instructions.
public struct Accelerator: RawRepresentable, Hashable, Sendable {
  /// QEMU's name: `kvm`, `tcg`, `xen`, `hvf`, `whpx`, `nvmm`, `mshv`, `qtest`.
  public var rawValue: String

  public init(rawValue: String) { self.rawValue = rawValue }

  public static let kvm = Self(rawValue: "kvm")
  public static let tcg = Self(rawValue: "tcg")
}

extension QEMUCommandLine {
  /// The accelerators QEMU tries, in order; the first that works is used.
  ///
  /// Without a choice that is TCG, but for a program whose name ends in `kvm` KVM and then TCG
  /// (`softmmu/vl.c: configure_accelerators`, 7.2).
  public var accelerators: [Accelerator] {
    let explicit = options(named: "accel").compactMap(\.value)
      .compactMap { OptionProperties($0, impliedKey: "accel")["accel"] }
    if !explicit.isEmpty { return explicit.map(Accelerator.init(rawValue:)) }
    if let list = machineAccelerators {
      return list.split(separator: ":").map { Accelerator(rawValue: String($0)) }
    }
    return programName.hasSuffix("kvm") ? [.kvm, .tcg] : [.tcg]
  }

  /// The list of `-machine accel=`; `-enable-kvm` and the old `-no-kvm` are short for it, and the last one wins.
  private var machineAccelerators: String? {
    var list: String?
    for option in options {
      switch option.name {
      case "enable-kvm": list = "kvm"
      case "no-kvm": list = "tcg"
      case "machine", "M": list = option.value.flatMap { OptionProperties($0, impliedKey: "type")["accel"] } ?? list
      default: break
      }
    }
    return list
  }

  /// The command line with TCG as its only accelerator; `-cpu host`, which needs another, becomes `max`.
  public var underTCG: Self {
    var copy = self
    for option in options.reversed() {
      switch (option.name, option.value) {
      case ("enable-kvm", _), ("accel", _): copy.arguments.removeSubrange(option.words)
      case ("cpu", let value?) where value == "host" || value.hasPrefix("host,"):
        copy.arguments[option.words.upperBound - 1] = "max" + value.dropFirst("host".count)
      case ("machine", let value?), ("M", let value?):
        let kept = value.split(separator: ",").filter { !$0.hasPrefix("accel=") && !$0.hasPrefix("kernel_irqchip=") }
        if kept.isEmpty {
          copy.arguments.removeSubrange(option.words)
        } else {
          copy.arguments[option.words.upperBound - 1] = kept.joined(separator: ",")
        }
      default: continue
      }
    }
    return copy.adding(["-accel", "tcg"])
  }

  /// The machine type given, such as `q35`; nil leaves QEMU's default, which is `pc` for x86.
  public var machineType: String? { machineProperty("type") }

  /// A property given with `-machine` or `-M`, the last one winning.
  public func machineProperty(_ key: String) -> String? {
    options.filter { $0.name == "machine" || $0.name == "M" }.compactMap(\.value)
      .compactMap { OptionProperties($0, impliedKey: "type")[key] }.last
  }

  /// How many virtual processors there are at the start; nil where it cannot be told.
  ///
  /// `softmmu/vl.c: machine_parse_smp_config`, 7.2: `cpus`, else `maxcpus`, else the product of the topology.
  public var processorCount: Int? {
    guard let value = value(of: "smp") else { return has("readconfig") ? nil : 1 }
    let properties = OptionProperties(value, impliedKey: "cpus")
    if let count = properties["cpus"] ?? properties["maxcpus"] { return Int(count).flatMap { $0 > 0 ? $0 : nil } }
    var product = 1
    for key in ["sockets", "dies", "clusters", "modules", "cores", "threads"] {
      guard let text = properties[key] else { continue }
      guard let factor = Int(text), factor > 0 else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: factor)
      if overflow { return nil }
      product = next
    }
    return product
  }
}
