public import X86

extension FeatureReport {
  /// QEMU's `feature-words` or `filtered-features` of a CPU: a list of registers of CPUID leaves
  /// (qapi/machine-target.json: X86CPUFeatureWordInfo). Nil for anything else.
  public init?(featureWords value: JSONValue) {
    guard let entries = value.array else { return nil }
    self.init()
    for entry in entries {
      guard let word = FeatureWord(entry), let bits = entry["features"]?.uint64 else { continue }
      features[word] = bits & 0xFFFF_FFFF
      known[word] = 0xFFFF_FFFF
    }
  }
}

extension FeatureWord {
  fileprivate init?(_ entry: JSONValue) {
    guard
      let leaf = entry["cpuid-input-eax"]?.uint64.flatMap({ UInt32(exactly: $0) }),
      let name = entry["cpuid-register"]?.string,
      let register = CPUIDRegister.allCases.first(where: { $0.name == name })
    else { return nil }
    // Absent for a leaf without subleaves.
    self = .cpuid(leaf, entry["cpuid-input-ecx"]?.uint64.flatMap { UInt32(exactly: $0) } ?? 0, register)
  }
}
