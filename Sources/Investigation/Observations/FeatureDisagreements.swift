import KVM
import QEMU
import X86

extension Scene {
  /// What the trace says that CPUID told the guest; nil where it has no kvm_cpuid event, or where its threads were told
  /// different things: then it is of several guests.
  var tracedFeatures: Sourced<FeatureReport>? {
    let answers = trace.filter { if case .cpuid = $0.event { true } else { false } }
    var all = FeatureReport()
    for records in Dictionary(grouping: answers, by: \.threadID).values {
      guard let report = CPUID(records).map({ FeatureReport($0) }) else { continue }
      guard all.disagreements(with: report).subtracting(Self.changedOnTheWay).isEmpty else { return nil }
      all = FeatureReport(
        features: all.features.union(report.features), known: all.known.union(report.known))
    }
    return all.known.isEmpty ? nil : Sourced(all, .trace(event: "kvm_cpuid", time: answers.last?.time))
  }

  /// Where QEMU's word on the guest's features and what CPUID told the guest are not the same: a line for what QEMU gives,
  /// and one for what it does not.
  var featureDisagreements: [Evidence] {
    guard let qemu = guestFeatures, let traced = tracedFeatures else { return [] }
    let bits = qemu.value.disagreements(with: traced.value).subtracting(Self.changedOnTheWay)
    return [true, false].compactMap { isOn in
      let names = bits.features.filter { (qemu.value.has($0) == true) == isOn }.map(\.name)
      guard !names.isEmpty else { return nil }
      return Evidence(
        "QEMU \(isOn ? "gives" : "does not give") the guest \(names.joined(separator: ", ")), and CPUID told the guest that it "
          + "\(isOn ? "lacks" : "has") \(names.count == 1 ? "it" : "them") [\(traced.source.description)]", qemu.source)
    }
  }

  /// What need not be the same. QEMU adds and hides a few bits when it answers for CPUID: HT and CmpLegacy with several
  /// vCPUs, PDCM without a PMU, SGX (target/i386/cpu.c: cpu_x86_cpuid, 7.2). KVM follows the guest's registers with OSXSAVE,
  /// OSPKE, APIC and MONITOR (arch/x86/kvm/cpuid.c: __kvm_update_cpuid_runtime, 6.1).
  private static let changedOnTheWay: FeatureSet = [
    .cpuid(1, 0, .edx): 1 << 28 | 1 << 9, .cpuid(1, 0, .ecx): 1 << 27 | 1 << 15 | 1 << 3,
    .cpuid(7, 0, .ebx): 1 << 2, .cpuid(7, 0, .ecx): 1 << 30 | 1 << 4, .cpuid(0x8000_0001, 0, .ecx): 1 << 1,
  ]
}
