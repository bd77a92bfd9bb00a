import QEMU
import Testing
import X86

@Suite("CPU models")
struct CPUModelTests {
  static let table = CPUModelTable.shipped

  @Test(
    "names, versions and aliases",
    arguments: [
      ("Haswell", "Haswell-v1"), ("Haswell-noTSX-IBRS", "Haswell-v4"), ("Haswell-v4", "Haswell-v4"), ("base", "base"),
      ("Skylake-Server", "Skylake-Server-v1"), ("EPYC-IBPB", "EPYC-v2"), ("Icelake-Server-v6", "Icelake-Server-v6"),
    ])
  func models(_ name: String, _ definition: String) {
    #expect(Self.table.model(named: name)?.name == definition)
  }

  @Test(arguments: ["haswell", "host", "max", "", "SapphireRapids", "Haswell-v99", "="])
  func unknownModels(_ name: String) { #expect(Self.table.model(named: name) == nil) }

  @Test("microvm takes the newest version for a plain name")
  func newest() {
    #expect(Self.table.model(named: "Haswell", usesNewestVersions: true)?.name == "Haswell-v4")
    #expect(Self.table.model(named: "Haswell-noTSX", usesNewestVersions: true)?.name == "Haswell-v2")
    #expect(Self.table.model(named: "Haswell-v1", usesNewestVersions: true)?.name == "Haswell-v1")
  }

  @Test("what a model is")
  func definition() throws {
    let model = try #require(Self.table.model(named: "Haswell"))
    #expect(model.vendor == "GenuineIntel" && model.signature == ProcessorSignature(family: 6, model: 60, stepping: 4))
    #expect(model.level == 0xD && model.extendedLevel == 0x8000_0008 && model.family == "Haswell" && model.version == 1)
    #expect(model.features[.nx] && !model.features[.pdpe1gb] && !model.features[.la57])
    #expect(Self.table.plainName(of: model) == "Haswell")
    #expect(Self.table.versions(of: "Haswell").map(\.name) == (1...4).map { "Haswell-v\($0)" })
  }

  /// As measured with QEMU 7.2 (query-cpu-model-expansion).
  @Test("the models that have 1 GiB pages")
  func gibPages() {
    let families = Set(Self.table.models(having: FeatureSet([ProcessorFeature.pdpe1gb.bit])).map(\.family))
    #expect(
      families == [
        "phenom", "Opteron_G4", "Opteron_G5", "Skylake-Server", "Cascadelake-Server", "Cooperlake", "Icelake-Server",
        "Denverton", "Snowridge", "KnightsMill", "EPYC", "EPYC-Rome", "EPYC-Milan", "Dhyana",
      ])
  }

  @Test(
    "models to take instead, the most alike first",
    arguments: [
      ("Haswell", "Skylake-Server"), ("Haswell-noTSX", "Skylake-Server"), ("Icelake-Server", "Cooperlake"),
      ("Opteron_G3", "Opteron_G4"), ("EPYC-Rome", "EPYC-Milan"), ("Conroe", "Skylake-Server"), ("qemu64", "phenom"),
      ("nonsense", "Skylake-Server"),
    ])
  func alternatives(_ model: String, _ first: String) {
    let models = CPUSelection(model: model).alternatives(having: [.pdpe1gb])
    #expect(models.first == first)
    #expect(models.allSatisfy { Self.table.model(named: $0)?.features[.pdpe1gb] == true } && !models.contains(model))
    #expect(Set(models).count == models.count)
  }

  @Test func alternativesForSeveral() {
    #expect(CPUSelection(model: "Haswell").alternatives(having: [.la57, .nx]) == ["Icelake-Server"])
  }

  @Test(
    "near names",
    arguments: [
      ("haswell", "Haswell"), ("Hasswell", "Haswell"), ("Skylake", "Skylake-Client"), ("epyc-milan", "EPYC-Milan"),
      ("xyzzy", nil), ("", nil),
    ] as [(String, String?)])
  func nearNames(_ name: String, _ near: String?) {
    #expect(namesNear(name, in: Self.table.names).first == near)
  }
}

@Suite("the text of a table of CPU models")
struct CPUModelTableTextTests {
  @Test("the shipped table is the same after it was written and read")
  func roundTrip() throws {
    #expect(CPUModelTable.shippedTables.count == 1 && CPUModelTable.shipped.models.count > 70)
    #expect(try CPUModelTable(CPUModelTable.shipped.text) == CPUModelTable.shipped)
  }

  static let tables: [(String, Int, String)] = [
    ("", 1, "version"), ("qemu 7.2\nA-v1", 2, "no model"), ("qemu 7.2\nA-v1 X 6/1 d 0", 2, "no model"),
    ("qemu 7.2\nA-v1 X 6/1/1 d 0\n  1.edx:zz", 2, "1.edx:zz"), ("qemu 7.2\nA-v1 X 6/1/1 d 0 from B-v1", 2, "from"),
    ("qemu 7.2\nA-v1 X 6/1/1 d 0 from", 2, "from"), ("qemu 7.2\nA-v1 X 6/1/1 d 0 +no-such", 2, "no-such"),
    ("qemu 7.2\n\nknown 1.eax.edx:1", 3, "1.eax.edx:1"), ("qemu 7.2\ntcg msr:1", 2, "msr:1"),
    ("qemu 7.2\nkvm+ no-such", 2, "no-such"), ("qemu 7.2\ntcg 1.edx:10000000000000000", 2, "1.edx"),
  ]

  @Test("what is no table says where and why", arguments: tables)
  func damaged(_ text: String, _ line: Int, _ reason: String) {
    let error = #expect(throws: CPUModelTableError.self) { try CPUModelTable(text) }
    #expect(error?.line == line && error?.reason.contains(reason) == true, "\(String(describing: error))")
  }

  @Test("a table cut off anywhere is read or refused, and never traps")
  func cut() {
    let text = CPUModelTable.shipped.text
    for length in stride(from: 0, to: text.utf8.count, by: 37) { _ = try? CPUModelTable(String(text.prefix(length))) }
  }
}

@Suite("the processor that a guest gets")
struct GuestProcessorTests {
  private static let table = CPUModelTable.shipped

  /// A KVM that offers what Haswell has, but for pcid, and 1 GiB pages.
  private static let offer: AcceleratorOffer = {
    var features = table.model(named: "Haswell")?.features ?? [:]
    features = features.subtracting(FeatureSet(CPUFeatureName("pcid").bits)).union(
      FeatureSet([ProcessorFeature.pdpe1gb.bit]))
    for word in [FeatureWord.cpuid(0x4000_0001, 0, .eax), .cpuid(0xD, 0, .eax)] { features[word] = 0xFFFF_FFFF }
    features = features.union(FeatureSet(CPUFeatureName("x2apic").bits))
    return AcceleratorOffer(
      accelerator: .kvm, features: features, vendor: "GenuineIntel",
      signature: ProcessorSignature(family: 6, model: 63, stepping: 2), physicalAddressBits: 46, level: 0xF,
      extendedLevel: 0x8000_0008)
  }()

  private func processor(_ cpu: String, _ accelerator: Accelerator = .kvm, offer: AcceleratorOffer? = offer) throws
    -> GuestProcessor
  {
    try GuestProcessor(CPUSelection(cpu), accelerator: accelerator, offer: offer, table: Self.table)
  }

  static let decisions: [(String, Accelerator, String, Bool, FeatureOrigin)] = [
    ("Haswell", .kvm, "pdpe1gb", false, .model("Haswell")), ("Haswell", .kvm, "avx2", true, .model("Haswell")),
    ("Haswell,+pdpe1gb", .kvm, "pdpe1gb", true, .option("+pdpe1gb")),
    ("Haswell,xd=off", .kvm, "nx", false, .option("xd=off")),
    ("Haswell", .kvm, "pcid", false, .lackingIn(.kvm)), ("Haswell,+la57", .kvm, "la57", false, .lackingIn(.kvm)),
    ("qemu64", .kvm, "svm", false, .acceleratorDefault(.kvm)),
    ("qemu64", .kvm, "kvmclock", true, .acceleratorDefault(.kvm)),
    ("qemu64,+svm", .kvm, "npt", false, .model("qemu64,+svm")),
    ("Haswell", .tcg, "vme", false, .acceleratorDefault(.tcg)),
    ("EPYC,-svm", .tcg, "npt", false, .dependency(FeatureBit(.cpuid(0x8000_0001, 0, .ecx), 2))),
    ("host", .kvm, "pdpe1gb", true, .accelerator(.kvm)), ("host,-nx", .kvm, "nx", false, .option("-nx")),
    ("max", .kvm, "la57", false, .accelerator(.kvm)), ("max", .tcg, "la57", true, .accelerator(.tcg)),
  ]

  @Test("each feature has one who decided it", arguments: decisions)
  func decision(_ cpu: String, _ accelerator: Accelerator, _ name: String, _ isOn: Bool, _ origin: FeatureOrigin) throws
  {
    let processor = try processor(cpu, accelerator, offer: accelerator == .tcg ? .tcg(Self.table) : Self.offer)
    let feature = try #require(ProcessorFeature.named(inQEMU: name).first)
    let decision = processor.decision(on: feature)
    #expect(decision.isOn == isOn)
    if case .model = origin { return }
    #expect(decision.origin == origin)
  }

  @Test("without an offer nothing is taken away, and of host and max nothing is known")
  func noOffer() throws {
    #expect(try processor("Haswell,+la57", offer: nil).decision(on: .la57).isOn == true)
    #expect(try processor("host", offer: nil).decision(on: .la57) == FeatureDecision(isOn: nil, origin: nil))
    #expect(try processor("host,+la57", offer: nil).decision(on: .la57).isOn == true)
  }

  static let widths: [(String, Accelerator, Int?)] = [
    ("Haswell", .kvm, 40), ("Haswell,phys-bits=36", .kvm, 36), ("Haswell,phys_bits=0x28", .kvm, 40),
    ("Haswell,phys-bits=0", .kvm, 40), ("Haswell,host-phys-bits=on,phys-bits=36", .kvm, 46),
    ("Haswell,host-phys-bits=on", .tcg, 40), ("Haswell,-lm", .tcg, 36), ("qemu32", .kvm, 32), ("host", .kvm, 46),
    ("host,host-phys-bits-limit=40", .kvm, 40), ("max,host-phys-bits=off", .kvm, 40), ("max", .tcg, 40),
  ]

  @Test("MAXPHYADDR", arguments: widths)
  func physicalAddressBits(_ cpu: String, _ accelerator: Accelerator, _ bits: Int?) throws {
    let processor = try processor(cpu, accelerator, offer: accelerator == .tcg ? .tcg(Self.table) : Self.offer)
    #expect(processor.physicalAddressBits?.value == bits)
  }

  @Test("the host's MAXPHYADDR is not known without the host")
  func unknownWidth() throws {
    #expect(try processor("host", offer: nil).physicalAddressBits == nil)
    #expect(try processor("Haswell,host-phys-bits=on", offer: nil).physicalAddressBits == nil)
  }

  @Test func refusals() {
    #expect(throws: CPUSelectionError.unknownModel("haswell")) { try processor("haswell") }
    #expect(throws: CPUSelectionError.unknownModel("")) { try processor("") }
    #expect(throws: CPUSelectionError.needsKVM(model: "host")) { try processor("host", .tcg, offer: nil) }
  }

  @Test("what the guest sees beside the feature words")
  func seen() throws {
    let ht = FeatureBit(.cpuid(1, 0, .edx), 28)
    let processor = try processor("Haswell,+ht,level=1")
    #expect(try !self.processor("Haswell").seenFeatures().features[ht])
    let (several, origins) = processor.seenFeatures(processorCount: 2)
    #expect(several[ht] && origins[ht] == .circumstance("several vCPUs"))
    // Leaf 7 lies above the highest.
    #expect(several[.cpuid(7, 0, .ebx)] == 0 && processor.features[.cpuid(7, 0, .ebx)] != 0)
  }

  @Test(
    "odd text never traps",
    arguments: [
      "Haswell,phys-bits=99999999999999999999", "Haswell,level=0xffffffff,xlevel=0xffffffff,phys-bits=0xffffffff",
      "Haswell,+,-,=,+=,family=-1,host-phys-bits-limit=4294967295", "max,min-level=4294967295", "base,vendor=",
    ])
  func odd(_ cpu: String) throws {
    let processor = try processor(cpu)
    _ = processor.physicalAddressBits
    _ = processor.seenFeatures(processorCount: .max)
  }
}

@Suite("a baseline of hosts")
struct ModelBaselineTests {
  private static let table = CPUModelTable.shipped

  private func host(_ name: String, _ model: String) throws -> ModelBaseline.Host {
    let model = try #require(Self.table.model(named: model))
    let features = AcceleratorOffer.expectedKVM(
      on: FeatureReport(features: model.features, known: model.features))
    return ModelBaseline.Host(name: name, vendor: model.vendor, features: features)
  }

  @Test(
    "of one model the best is that model or one with the same features",
    arguments: [
      ["Haswell"], ["Haswell", "Haswell"], ["Haswell-v4", "Haswell-v4"], ["EPYC", "EPYC"],
    ])
  func same(_ names: [String]) throws {
    let best = try #require(ModelBaseline(try names.map { try host($0, $0) }, table: Self.table).candidates.first)
    #expect(best.missing.isEmpty && best.model.family == Self.table.model(named: names[0])?.family)
  }

  @Test("of several, the best that all have")
  func several() throws {
    let baseline = ModelBaseline(
      try ["Skylake-Server", "Haswell-noTSX", "Broadwell"].map { try host($0, $0) }, table: Self.table)
    let best = try #require(baseline.candidates.first)
    #expect(best.model.name == "Haswell-v2" && best.missing.isEmpty)
    #expect(best.text(named: "Haswell-noTSX") == "Haswell-noTSX")
    let skylake = try #require(baseline.candidates.first { $0.model.name == "Skylake-Server-v1" })
    let lacking = baseline.hosts(lacking: skylake.missing)
    #expect(lacking.map(\.host.name) == ["Haswell-noTSX", "Broadwell"])
  }

  @Test("each candidate works on every host, or says what it lacks")
  func candidates() throws {
    let baseline = ModelBaseline(try ["Westmere", "EPYC"].map { try host($0, $0) }, table: Self.table)
    for candidate in baseline.candidates where candidate.missing.isEmpty {
      for host in baseline.hosts {
        var offer = host.features
        offer[.cpuid(0xD, 0, .eax)] = 0xFFFF_FFFF
        let processor = try GuestProcessor(
          CPUSelection(candidate.fullText(named: candidate.model.name)), accelerator: .kvm,
          offer: AcceleratorOffer(accelerator: .kvm, features: offer), table: Self.table)
        #expect(processor.filteredFeatures.processorsOwn.isEmpty, "\(candidate.model.name) on \(host.name)")
      }
    }
    #expect(baseline.candidates.contains { $0.missing.isEmpty })
  }
}
