/// What old machine types change about CPU models, so that a guest finds the processor that it was installed on.
///
/// `hw/i386/pc.c: pc_compat_1_4 to pc_compat_7_1`, 7.2, as far as CPUID goes. Later versions have no such changes to those
/// models (10.2).
enum MachineCompatibility {
  /// The changes that QEMU makes to `model` on a machine such as `pc-i440fx-2.11`, in their order; none for a machine type
  /// without a version.
  static func changes(of model: String, on machine: String?) -> [CPUSelection.Change] {
    guard let version = machine.flatMap(version(of:)) else { return [] }
    return rows.filter {
      version <= $0.until && ($0.models.isEmpty || $0.models.split(separator: " ").contains(model[...]))
    }
    .flatMap { row in
      row.changes.split(separator: " ").map { text in
        let parts = text.split(separator: "=").map(String.init)
        let value = parts.count == 2 ? parts[1] : "on"
        return CPUSelection.Change(
          name: CPUFeatureName(parts[0]), form: .property(value: value), text: "the machine type \(machine ?? "")")
      }
    }
  }

  /// Major and minor number as one: 211 for `pc-q35-2.11`.
  private static func version(of machine: String) -> Int? {
    guard machine.hasPrefix("pc-i440fx-") || machine.hasPrefix("pc-q35-") else { return nil }
    let numbers = machine.split(separator: "-").last?.split(separator: ".").map { Int($0) } ?? []
    guard numbers.count == 2, let major = numbers[0], let minor = numbers[1], (0..<100).contains(major),
      (0..<100).contains(minor)
    else { return nil }
    return major * 100 + minor
  }

  private struct Row {
    /// The newest machine type with the change.
    var until: Int
    /// Names, separated by blanks, as `-cpu` has them; empty for every model.
    var models: String
    var changes: String

    init(_ until: Int, _ models: String, _ changes: String) {
      self.until = until
      self.models = models
      self.changes = changes
    }
  }

  /// From the newest; of two changes of one property the later counts.
  private static let rows = [
    Row(600, "qemu64", "family=6 model=6 stepping=3"),
    Row(301, "Opteron_G3 Opteron_G4 Opteron_G5", "rdtscp=off"),
    Row(301, "Opteron_G4 Opteron_G5 EPYC EPYC-IBPB", "npt=off nrip-save=off"),
    Row(
      301,
      "Skylake-Client Skylake-Client-IBRS Skylake-Server Skylake-Server-IBRS Cascadelake-Server Icelake-Server",
      "mpx=on"),
    Row(301, "Cascadelake-Server", "stepping=5"),
    Row(300, "Skylake-Server Skylake-Server-IBRS", "pku=off"),
    Row(212, "", "topoext=off"), Row(212, "EPYC EPYC-IBPB", "xlevel=0x8000000a"),
    Row(211, "Skylake-Server", "clflushopt=off"),
    Row(208, "Haswell", "stepping=1"),
    Row(207, "", "full-cpuid-auto-level=off"), Row(207, "Opteron_G3", "family=15 model=6 stepping=1"),
    Row(204, "Haswell Haswell-noTSX Broadwell Broadwell-noTSX", "abm=off"),
    Row(204, "qemu64", "sse4a=on abm=on popcnt=on"), Row(204, "qemu32", "popcnt=on"),
    Row(204, "Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5", "rdtscp=on"),
    Row(203, "", "arat=off"),
    Row(203, "qemu64 Conroe Penryn Nehalem", "min-level=4"), Row(203, "kvm64 n270", "min-level=5"),
    Row(203, "pentium3", "min-level=2"),
    Row(
      203,
      """
      n270 Penryn Conroe Nehalem Westmere SandyBridge IvyBridge Haswell Haswell-noTSX Broadwell Broadwell-noTSX
      """, "min-xlevel=0x8000000a"),
    Row(
      202,
      """
      kvm64 kvm32 Conroe Penryn Nehalem Westmere SandyBridge Haswell Broadwell Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 \
      Opteron_G5
      """, "vme=off"),
    Row(202, "Haswell Broadwell", "f16c=off rdrand=off"),
    Row(201, "coreduo core2duo", "vmx=on"),
    Row(106, "qemu64", "model=2"), Row(106, "qemu32", "model=3"),
    Row(105, "Conroe Penryn Nehalem", "model=2 min-level=2"), Row(105, "", "pmu=on"),
    Row(104, "486", "model=0"), Row(104, "n270", "movbe=off"), Row(104, "Westmere", "pclmulqdq=off"),
  ]
}
