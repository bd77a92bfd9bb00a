public import X86

extension GuestProcessor {
  /// What CPUID tells the guest at its start, which is a little more and less than QEMU's feature words
  /// (`target/i386/cpu.c: cpu_x86_cpuid`, 7.2).
  ///
  /// OSXSAVE and OSPKE come later, when the guest sets the bits in CR4.
  ///
  /// - Parameter processorCount: The number of vCPUs in a socket.
  public func seenFeatures(processorCount: Int = 1) -> (features: FeatureSet, origins: [FeatureBit: FeatureOrigin]) {
    var seen = features
    var origins: [FeatureBit: FeatureOrigin] = [:]
    func set(_ bit: FeatureBit, _ isOn: Bool, _ reason: String) {
      guard seen[bit] != isOn else { return }
      seen[bit] = isOn
      origins[bit] = .circumstance(reason)
    }
    if processorCount > 1 {
      set(FeatureBit(.cpuid(1, 0, .edx), 28), true, "several vCPUs")
      if vendor != "GenuineIntel" { set(FeatureBit(.cpuid(0x8000_0001, 0, .ecx), 1), true, "several vCPUs") }
    }
    if !(selection.decision(on: "pmu")?.isOn ?? selection.isAccelerated) {
      set(FeatureBit(.cpuid(1, 0, .ecx), 15), false, "no pmu=on")
    }
    for bit in seen.bits where isBeyondLevels(bit.word) { set(bit, false, "the highest leaf lies below") }
    return (seen, origins)
  }

  private func isBeyondLevels(_ word: FeatureWord) -> Bool {
    guard case .cpuid(let leaf, _, _) = word else { return false }
    return leaf < 0x4000_0000 && leaf > level || leaf >> 16 == 0x8000 && leaf > extendedLevel
  }
}
