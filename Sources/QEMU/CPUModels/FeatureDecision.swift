/// What QEMU was asked for in the guest's CPUID, and by what.
public struct CPUIDDecision<Value: Hashable & Sendable>: Hashable, Sendable {
  /// What was asked for; nil where it cannot be told from the command line.
  public var value: Value?
  public var decidedBy: CPUIDDecider

  public init(value: Value?, decidedBy: CPUIDDecider) {
    self.value = value
    self.decidedBy = decidedBy
  }
}

/// What decided a part of the guest's CPUID.
public enum CPUIDDecider: Hashable, Sendable {
  /// The model's definition, by the name that was given.
  case model(String)
  /// A change on the command line, as it was written, such as `-pdpe1gb` or `phys-bits=36`.
  case option(String)
  /// What the accelerator offers on the host, as for `-cpu host`.
  case accelerator(Accelerator)
  /// Nothing known here: a model that the measured QEMU does not have.
  case unknown
}

extension CPUSelection {
  /// Whether the guest was to have `feature`, and what decided it.
  ///
  /// That is what QEMU asks for. The accelerator may lack a feature that is on; then QEMU leaves it out and says so
  /// (`QEMUMessage.unsupportedFeature`), unless `check=off`. Machine types older than QEMU 4.1 change some features of
  /// some models; none of those known here.
  public func state(of feature: CPUFeatureName, accelerator: Accelerator) -> CPUIDDecision<Bool> {
    if let (isOn, change) = decision(on: feature) {
      return CPUIDDecision(value: isOn, decidedBy: .option(change.text))
    }
    if isAccelerated { return CPUIDDecision(value: nil, decidedBy: .accelerator(accelerator)) }
    guard let isOn = CPUModel.named(model)?.has(feature) else { return CPUIDDecision(value: nil, decidedBy: .unknown) }
    return CPUIDDecision(value: isOn, decidedBy: .model(model))
  }

  /// How many bits a physical address was to have (MAXPHYADDR), and what decided it.
  ///
  /// `target/i386/cpu.c: x86_cpu_realizefn` and `host-cpu.c: host_cpu_adjust_phys_bits`, 7.2: with long mode
  /// `host-phys-bits` under KVM (the default of `host` and `max`), else `phys-bits`, else 40; without long mode 36
  /// with PSE-36, else 32. Checked live.
  public func physicalAddressBits(accelerator: Accelerator) -> CPUIDDecision<Int> {
    let longMode = state(of: .lm, accelerator: accelerator)
    guard let hasLongMode = longMode.value ?? (isAccelerated ? true : nil) else {
      return CPUIDDecision(value: nil, decidedBy: longMode.decidedBy)
    }
    guard hasLongMode else { return bitsWithoutLongMode(accelerator: accelerator) }
    if accelerator != .tcg {
      if let (usesHost, change) = decision(on: "host-phys-bits") {
        if usesHost { return CPUIDDecision(value: nil, decidedBy: .option(change.text)) }
      } else if isAccelerated {
        return CPUIDDecision(value: nil, decidedBy: .accelerator(accelerator))
      }
    }
    if let (text, change) = property("phys-bits"), text != "0" {
      return CPUIDDecision(value: number(text), decidedBy: .option(change.text))
    }
    return CPUIDDecision(value: 40, decidedBy: .model(model))
  }

  private func bitsWithoutLongMode(accelerator: Accelerator) -> CPUIDDecision<Int> {
    let pse36 = state(of: .pse36, accelerator: accelerator)
    return CPUIDDecision(value: pse36.value.map { $0 ? 36 : 32 }, decidedBy: pse36.decidedBy)
  }

  /// `host` and `max` have what the accelerator offers.
  private var isAccelerated: Bool { model == "host" || model == "max" }

  private func number(_ text: String) -> Int? {
    text.hasPrefix("0x") || text.hasPrefix("0X") ? Int(text.dropFirst(2), radix: 16) : Int(text)
  }

  /// Models that have `feature`, to be chosen instead of this one, the most alike first.
  ///
  /// First newer models of the same vendor from old to new, then older ones from new to old, then the others.
  public func alternatives(having feature: CPUFeatureName) -> [String] {
    let vendor = CPUModel.named(model)?.vendor
    let lines = [CPUGenerations.intel, CPUGenerations.amd]
    let own = lines.first { $0.contains(where: isOfFamily) } ?? lines.first { Self.vendor(of: $0) == vendor } ?? []
    let newest = own.lastIndex(where: isOfFamily)
    let newer = newest.map { own[($0 + 1)...] } ?? own[...]
    let older = newest.map { own[..<$0].reversed() } ?? []
    let others = lines.filter { $0 != own }.flatMap { $0 }
    return (newer + older + others).filter { CPUModel.named($0)?.has(feature) == true }
  }

  /// Whether this model is `family` or one of its versions (`Haswell-v4`, `Haswell-noTSX`).
  private func isOfFamily(_ family: String) -> Bool { model == family || model.hasPrefix(family + "-") }

  private static func vendor(of line: [String]) -> String? { line.first.flatMap { CPUModel.named($0)?.vendor } }
}

/// QEMU's server and desktop models by vendor, from old to new.
private enum CPUGenerations {
  static let intel = [
    "Conroe", "Penryn", "Nehalem", "Westmere", "SandyBridge", "IvyBridge", "Haswell", "Broadwell", "Skylake-Client",
    "Skylake-Server", "Cascadelake-Server", "Cooperlake", "Icelake-Server",
  ]
  static let amd = [
    "Opteron_G1", "Opteron_G2", "phenom", "Opteron_G3", "Opteron_G4", "Opteron_G5", "EPYC", "EPYC-Rome", "EPYC-Milan",
  ]
}
