import Capture
import QEMU
import Testing
import X86

/// The QEMU that these tests ask.
let qemu = "qemu-system-x86_64"

/// Started, paused and asked: no model may have a bit that Inquest does not compute, nor lack one.
@Suite("the features that QEMU gives each model are those that Inquest computes")
struct EveryModelTests {
  static let table = try? CPUModelTable.installed(qemu, usesCache: false)
  static let models = table.map { ["max"] + $0.models.keys.sorted() } ?? []

  @Test("under TCG", arguments: models)
  func tcg(_ model: String) throws { try compareUnderTCG(CPUSelection(model)) }

  @Test("under KVM", .enabled(if: HostKVM.current().device == .usable), arguments: models + ["host"])
  func kvm(_ model: String) throws { try compareUnderKVM(CPUSelection(model)) }

  /// What the command line changes: the order of changes, spellings, dependencies, levels, widths.
  static let selections = [
    "Haswell,pdpe1gb", "Haswell,+pdpe1gb", "Haswell,pdpe1gb=off,+pdpe1gb", "Haswell,+avx,-avx,avx=on", "Haswell,-xsave",
    "Haswell,xd=off,sse4_1=off,tsc_adjust=on,check=off", "Haswell,-lm", "Haswell,-lm,-pse36", "Haswell,+vmx,check=off",
    "core2duo,+vmx", "Haswell,vendor=AuthenticAMD", "Haswell,phys-bits=36", "Haswell,phys_bits=0x2e",
    "Haswell,level=7,xlevel=0x80000001", "Haswell,min-level=0x16", "486,+avx2,full-cpuid-auto-level=off",
    "qemu64,+avx2,+avx512f,+pku,+mpx", "EPYC,-svm", "EPYC,npt=off", "max,-avx", "max,migratable=off", "max,+topoext",
    "base,+fpu,+lm", "Icelake-Server,-arch-capabilities", "Snowridge,x-force-features=on", "qemu32,kvm=off",
    "Dhyana,+sgx",
    "n270,host-phys-bits=on", "EPYC,host-phys-bits=on,host-phys-bits-limit=38", "EPYC,+kvm-hint-dedicated",
    "qemu64,+invtsc", "SandyBridge,+pcid,+intel-pt,+intel-pt-lip,check=off",
  ]

  @Test("with changes, under TCG", arguments: selections)
  func changedUnderTCG(_ text: String) throws { try compareUnderTCG(CPUSelection(text)) }

  @Test("with changes, under KVM", .enabled(if: HostKVM.current().device == .usable), arguments: selections)
  func changedUnderKVM(_ text: String) throws { try compareUnderKVM(CPUSelection(text)) }

  /// Old machine types change models; `microvm` takes their newest versions.
  @Test(
    "on other machines",
    arguments: [
      ("pc-i440fx-6.0", "qemu64"), ("pc-q35-3.1", "EPYC"), ("pc-i440fx-3.1", "Cascadelake-Server"),
      ("pc-i440fx-3.0", "Skylake-Server-IBRS"), ("pc-q35-2.12", "EPYC-IBPB"), ("pc-i440fx-2.11", "Skylake-Server"),
      ("pc-i440fx-2.8", "Haswell"), ("pc-i440fx-2.7", "Opteron_G3"), ("pc-q35-2.4", "Haswell-noTSX"),
      ("pc-i440fx-2.4", "qemu64"), ("pc-i440fx-2.3", "Nehalem"), ("pc-i440fx-2.2", "Broadwell"),
      ("pc-i440fx-2.1", "core2duo"), ("pc-i440fx-1.6", "qemu32"), ("pc-i440fx-1.5", "Penryn"),
      ("pc-i440fx-1.4", "Westmere"), ("microvm", "Haswell"), ("microvm", "EPYC"),
    ])
  func machines(_ machine: String, _ model: String) throws {
    try compareUnderTCG(CPUSelection(model), machine: machine)
  }

  @Test(
    "with the interrupt controllers elsewhere, under KVM", .enabled(if: HostKVM.current().device == .usable),
    arguments: [AcceleratorOffer.InterruptControllers.split, .inQEMU], ["qemu64", "Haswell"])
  func interruptControllers(_ controllers: AcceleratorOffer.InterruptControllers, _ model: String) throws {
    let table = try #require(Self.table)
    let capabilities = try #require(HostKVM.current().capabilities)
    let machine = "pc,kernel-irqchip=\(controllers.rawValue)"
    guard let started = start(CPUSelection(model), .kvm, machine: machine) else {
      print("not compared: \(machine) does not start here")
      return
    }
    let offer = AcceleratorOffer.kvm(
      capabilities.value, host: .ofThisProcessor(), interruptControllers: controllers)
    try compare(started, CPUSelection(model), offer, table)
  }

  private func compareUnderTCG(_ selection: CPUSelection, machine: String = "pc") throws {
    let table = try #require(Self.table)
    let started = try #require(start(selection, .tcg, machine: machine), "\(selection.text) does not start")
    try compare(started, selection, .tcg(table), table, machine: machine)
  }

  /// QEMU 7.2 aborts where a KVM refuses to set the IA32_ARCH_CAPABILITIES that it offers, as kvm_pvm does on AMD hosts:
  /// there the processor is compared without it.
  private func compareUnderKVM(_ selection: CPUSelection) throws {
    let table = try #require(Self.table)
    let capabilities = try #require(HostKVM.current().capabilities)
    let offer = AcceleratorOffer.kvm(capabilities.value, host: .ofThisProcessor())
    if let started = start(selection, .kvm) {
      try compare(started, selection, offer, table)
    } else {
      print("compared without arch-capabilities, with which QEMU aborts here: \(selection.text)")
      let selection = CPUSelection(selection.text + ",-arch-capabilities")
      try compare(try #require(start(selection, .kvm), "\(selection.text) does not start"), selection, offer, table)
    }
  }

  private func start(_ selection: CPUSelection, _ accelerator: Accelerator, machine: String = "pc") -> InstalledQEMU? {
    try? InstalledQEMU(
      qemu, ["-machine", machine, "-m", "16", "-accel", accelerator.rawValue, "-cpu", selection.text])
  }

  private func compare(
    _ started: InstalledQEMU, _ selection: CPUSelection, _ offer: AcceleratorOffer, _ table: CPUModelTable,
    machine: String = "pc"
  ) throws {
    let computed = try GuestProcessor(
      selection, accelerator: offer.accelerator, offer: offer, table: table, machine: machine)
    let processor = try #require(started.identity.processors.first)
    expectEqual(
      computed.features, try #require(started.features), "\(selection.text) under \(offer.accelerator.rawValue)")
    expectEqual(
      computed.filteredFeatures.cpuidOnly, processor.filteredFeatures, "filtered-features of \(selection.text)")
    #expect(computed.vendor == processor.vendor)
    #expect(computed.level == processor.level && computed.extendedLevel == processor.extendedLevel)
    #expect(computed.physicalAddressBits?.value == processor.physicalAddressBits)
    #expect(computed.signature == started.signature)
  }
}

/// Names each bit in which the sets differ.
func expectEqual(
  _ computed: FeatureSet, _ measured: FeatureSet, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
) {
  let tooMany = computed.subtracting(measured).bits.map(name)
  let missing = measured.subtracting(computed).bits.map(name)
  #expect(
    tooMany.isEmpty && missing.isEmpty, "\(what): not in QEMU: \(tooMany), in QEMU alone: \(missing)",
    sourceLocation: sourceLocation)
}

private func name(_ bit: FeatureBit) -> String {
  ProcessorFeature.at(bit)?.name ?? "\(bit.word) bit \(bit.bit)"
}

extension FeatureSet {
  /// Without the bits of MSRs.
  var cpuidOnly: FeatureSet {
    FeatureSet(bits.filter { if case .cpuid = $0.word { true } else { false } })
  }
}
