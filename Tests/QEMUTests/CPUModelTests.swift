import QEMU
import Testing

@Suite struct CPUModelTests {
  @Test(
    arguments: [
      ("Haswell", "Haswell-v1", ["nx", "lm", "pse36"]), ("Haswell-noTSX-IBRS", "Haswell-v4", ["nx", "lm", "pse36"]),
      ("Skylake-Server", "Skylake-Server-v1", ["pdpe1gb", "nx", "lm", "pse36"]),
      ("Icelake-Server-v6", "Icelake-Server-v6", ["pdpe1gb", "nx", "lm", "la57", "pse36"]),
      ("qemu32", "qemu32-v1", []), ("base", "base", []),
    ] as [(String, String, [String])])
  func models(_ name: String, _ definition: String, _ features: [String]) throws {
    let model = try #require(CPUModel.named(name))
    #expect(model.name == definition && model.features == Set(features.map { CPUFeatureName($0) }))
  }

  @Test(arguments: ["haswell", "host", "max", "", "SapphireRapids", "Haswell-v99", "="])
  func unknownModels(_ name: String) { #expect(CPUModel.named(name) == nil) }

  @Test func versionsOfAFamilyAgree() throws {
    // The microvm machine takes the newest version for a plain name, all others v1: it must not matter.
    for family in ["Haswell", "EPYC", "Skylake-Server", "Skylake-Client", "Cascadelake-Server", "Icelake-Server"] {
      let first = try #require(CPUModel.named(family + "-v1"))
      for version in 2...9 {
        guard let model = CPUModel.named("\(family)-v\(version)") else { continue }
        #expect(model.features == first.features, "\(model.name)")
      }
    }
  }

  @Test(
    arguments: [
      ("Haswell", Accelerator.kvm, "pdpe1gb", false, CPUIDDecider.model("Haswell")),
      ("Haswell,+pdpe1gb", .kvm, "pdpe1gb", true, .option("+pdpe1gb")),
      ("EPYC,pdpe1gb=off", .kvm, "pdpe1gb", false, .option("pdpe1gb=off")),
      ("EPYC", .tcg, "pdpe1gb", true, .model("EPYC")),
      ("host", .kvm, "pdpe1gb", nil, .accelerator(.kvm)), ("max", .tcg, "la57", nil, .accelerator(.tcg)),
      ("host,-nx", .kvm, "nx", false, .option("-nx")), ("SapphireRapids", .kvm, "la57", nil, .unknown),
      ("Haswell", .kvm, "avx2", nil, .unknown),
    ] as [(String, Accelerator, CPUFeatureName, Bool?, CPUIDDecider)])
  func featureStates(
    _ cpu: String, _ accelerator: Accelerator, _ feature: CPUFeatureName, _ isOn: Bool?, _ decider: CPUIDDecider
  ) {
    #expect(
      CPUSelection(cpu).state(of: feature, accelerator: accelerator) == CPUIDDecision(value: isOn, decidedBy: decider))
  }

  @Test(
    arguments: [
      ("Haswell", Accelerator.kvm, 40, CPUIDDecider.model("Haswell")),
      ("Haswell,phys-bits=36", .kvm, 36, .option("phys-bits=36")),
      ("Haswell,phys_bits=0x28", .kvm, 40, .option("phys_bits=0x28")),
      ("Haswell,phys-bits=0", .kvm, 40, .model("Haswell")),
      ("Haswell,host-phys-bits=on,phys-bits=36", .kvm, nil, .option("host-phys-bits=on")),
      ("Haswell,host-phys-bits=on", .tcg, 40, .model("Haswell")),
      ("Haswell,-lm", .tcg, 36, .model("Haswell")), ("qemu32", .kvm, 32, .model("qemu32")),
      ("host", .kvm, nil, .accelerator(.kvm)), ("max,host-phys-bits=off", .kvm, 40, .model("max")),
      ("max", .tcg, 40, .model("max")), ("SapphireRapids", .kvm, nil, .unknown),
    ] as [(String, Accelerator, Int?, CPUIDDecider)])
  func physicalAddressBits(_ cpu: String, _ accelerator: Accelerator, _ bits: Int?, _ decider: CPUIDDecider) {
    #expect(
      CPUSelection(cpu).physicalAddressBits(accelerator: accelerator) == CPUIDDecision(value: bits, decidedBy: decider))
  }

  @Test(arguments: [
    ("Haswell", "Skylake-Server"), ("Haswell-noTSX", "Skylake-Server"), ("Icelake-Server", "Cooperlake"),
    ("Opteron_G3", "Opteron_G4"), ("EPYC-Rome", "EPYC-Milan"), ("Conroe", "Skylake-Server"), ("qemu64", "phenom"),
    ("nonsense", "Skylake-Server"),
  ])
  func alternatives(_ model: String, _ first: String) {
    let models = CPUSelection(model: model).alternatives(having: .pdpe1gb)
    #expect(models.first == first)
    #expect(models.allSatisfy { CPUModel.named($0)?.has(.pdpe1gb) == true } && !models.contains(model))
    #expect(Set(models).count == models.count)
  }

  @Test func alternativesForLA57() {
    #expect(CPUSelection(model: "Haswell").alternatives(having: .la57) == ["Icelake-Server"])
    #expect(CPUSelection(model: "Haswell").alternatives(having: "no-such-feature") == [])
  }
}
