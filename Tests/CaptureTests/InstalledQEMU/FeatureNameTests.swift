import Capture
import QEMU
import Testing
import X86

@Suite("the names and bits of the feature table are QEMU's and Linux's own")
struct FeatureNameTests {
  private let table: CPUModelTable

  init() throws { table = try #require(EveryModelTests.table) }

  /// The features that the installed QEMU has names for, with each name once: `kvmclock` is two bits.
  private var known: [ProcessorFeature] { table.knownFeatures.features }

  /// QEMU warns of each feature that TCG lacks, with its register, name and bit.
  @Test("each feature that TCG lacks, by QEMU's warnings")
  func warnings() throws {
    let wanted = known.filter { !table.tcgFeatures[$0] && !$0.isParavirtual }
    let names = wanted.compactMap(\.qemuName).map { "+\($0)" } + dependedOn.map { "+\($0)" }
    let started = try start("base,\(names.joined(separator: ","))")
    var seen: Set<FeatureBit> = []
    for entry in QEMULog.parse(utf8: Array(started.standardError.utf8)) {
      guard case .unsupportedFeature(let warning) = entry.message, let name = warning.feature else { continue }
      let matching = ProcessorFeature.named(inQEMU: name.rawValue).filter { $0.row(of: warning) }
      #expect(matching.count == 1, "\(warning)")
      seen.formUnion(matching.map(\.bit))
    }
    let missing = wanted.filter { !seen.contains($0.bit) }
    #expect(missing.isEmpty, "QEMU did not warn of \(missing.map(\.name))")
  }

  /// Every name has a number, and is turned on in those runs that its number's bits name: so each bit of the feature words
  /// tells by its runs what turned it on.
  @Test("each feature in CPUID, by the bit that its name turns on")
  func bits() throws {
    let features = known.filter { feature in
      if case .cpuid = feature.word { !feature.isParavirtual } else { false }
    }
    try expectBits(of: features.filter { !dependedOn.contains($0.name) }, with: dependedOn)
    try expectBits(of: features.filter { dependedOn.contains($0.name) }, with: [])
  }

  private func expectBits(of features: [ProcessorFeature], with others: [String]) throws {
    var numbers: [FeatureBit: Int] = [:]
    for run in 0..<9 {
      let on = features.enumerated().filter { ($0.offset + 1) >> run & 1 == 1 }.compactMap(\.element.qemuName)
      let switches = (on + others).map { "+\($0)" }.joined(separator: ",")
      let report = try #require(try start("base,check=off,x-force-features=on,\(switches)").identity.features)
      for bit in report.features.bits { numbers[bit, default: 0] |= 1 << run }
    }
    for (index, feature) in features.enumerated() {
      #expect(numbers[feature.bit] == index + 1, "\(feature.name) is not \(feature.bit)")
    }
  }

  /// What QEMU takes away without these (`feature_dependencies`).
  private let dependedOn = [
    "vmx", "svm", "arch-capabilities", "core-capability", "pdcm", "lm", "xsave", "xsaves", "rdrand", "invpcid", "mpx",
    "rdseed", "intel-pt", "rdtscp", "vmx-secondary-ctls", "vmx-ept", "vmx-vpid", "vmx-vmfunc",
  ]

  @Test("each feature of KVM's own leaf, under KVM", .enabled(if: HostKVM.current().device == .usable))
  func paravirtual() throws {
    for feature in known.filter(\.isParavirtual) {
      guard let name = feature.qemuName else { continue }
      let others = known.filter { $0.isParavirtual && $0.qemuName != name }.compactMap(\.qemuName).map { "-\($0)" }
      let switches = (["+\(name)"] + others).joined(separator: ",")
      let started = try InstalledQEMU(
        qemu, ["-accel", "kvm", "-m", "16", "-cpu", "base,+lm,x-force-features=on,\(switches)"])
      let features = try #require(started.identity.features).features
      let bits = [FeatureWord.cpuid(0x4000_0001, 0, .eax), .cpuid(0x4000_0001, 0, .edx)]
        .flatMap { ([$0: features[$0]] as FeatureSet).bits }
      #expect(Set(bits) == Set(CPUFeatureName(name).bits), "\(name)")
    }
  }

  @Test("an alias is the feature that it stands for")
  func aliases() throws {
    for feature in known where feature.qemuNames.count > 1 {
      guard case .cpuid = feature.word, !feature.isParavirtual else { continue }
      for alias in feature.qemuNames.dropFirst() {
        let started = try start("base,check=off,x-force-features=on,+svm,+lm,\(alias)=on")
        #expect(started.identity.features?.has(feature) == true, "\(alias)")
      }
    }
  }

  /// What /proc/cpuinfo shows, CPUID must announce; the other way round Linux may not use a feature.
  @Test("each of Linux's flags that the table knows is a bit of this processor")
  func linuxFlags() throws {
    let processor = try #require(LinuxProcessor.current())
    let cpuid = FeatureReport(CPUID.ofThisProcessor())
    let disagreements = processor.features.disagreements(with: cpuid)
    #expect(disagreements.isEmpty, "\(disagreements.features.map { "\($0.linuxName ?? "") is not \($0.bit)" })")
    let unknown = processor.flags.filter { ProcessorFeature.named(inLinux: $0).isEmpty }
    print("flags that are Linux's own: \(unknown.sorted().joined(separator: " "))")
  }

  @Test("each named feature that this processor has is among Linux's flags, or Linux does not use it")
  func flagsOfFeatures() throws {
    let processor = try #require(LinuxProcessor.current())
    let cpuid = FeatureReport(CPUID.ofThisProcessor())
    let named = cpuid.features.features.filter { $0.linuxName != nil }
    let unused = named.filter { !processor.has($0) }
    print("features that Linux does not use here: \(unused.map(\.name).joined(separator: " "))")
    #expect(unused.count < named.count / 2)
  }

  private func start(_ cpu: String) throws -> InstalledQEMU {
    try InstalledQEMU(qemu, ["-machine", "pc", "-accel", "tcg", "-m", "16", "-cpu", cpu])
  }
}

extension ProcessorFeature {
  /// Whether the bit is in the leaf that KVM itself provides, which QEMU empties under TCG.
  fileprivate var isParavirtual: Bool {
    if case .cpuid(leaf: 0x4000_0001, _, _) = word { true } else { false }
  }

  /// Whether QEMU's warning is of this bit. It names the leaf and not the subleaf: `CPUID.07H:EAX`.
  fileprivate func row(of warning: UnsupportedFeature) -> Bool {
    guard bit.bit == warning.bit else { return false }
    let digits: (UInt32) -> String = { number in
      let text = String(number, radix: 16, uppercase: true)
      return text.count < 2 ? "0" + text : text
    }
    return switch word {
    case .cpuid(let leaf, _, let register): warning.register == "CPUID.\(digits(leaf))H:\(register.name)"
    case .msr(let index): warning.register == "MSR(\(digits(index))H)"
    }
  }
}
