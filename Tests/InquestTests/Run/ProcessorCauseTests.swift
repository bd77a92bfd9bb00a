import Testing

/// A guest that uses what its processor does not have, or what nobody enabled.
struct ProcessorMistake: Sendable, CustomTestStringConvertible {
  let guest: ExampleGuest
  let model: String
  let cause: String
  let vector: Int
  /// What the summary names: the instruction or register, the bit, and who decided.
  let words: [String]
  /// A `-cpu` among the remedies that lets the guest live; nil where only the guest or the host can change.
  var cure: String?

  var testDescription: String { "\(guest.name) with \(model)" }

  init(_ guest: String, _ model: String, _ cause: String, _ vector: Int, _ words: [String], cure: String? = nil) {
    self.guest = ExampleGuest(guest)
    self.model = model
    self.cause = cause
    self.vector = vector
    self.words = words
    self.cure = cure
  }

  func command(accelerator: String, model: String? = nil) throws -> [String] {
    try guest.command(accelerator: accelerator, ["-cpu", model ?? self.model, "-no-reboot"])
  }

  static let underTCG = [
    Self(
      "movbe-not-offered", "qemu64", "cpu.missing-feature", 6,
      ["movbe eax", "CPUID.01H:ECX[22]", "the model of -cpu qemu64 lacks it"], cure: "qemu64,+movbe"),
    Self("sse-not-enabled", "qemu64", "cpu.feature-not-enabled", 6, ["movups", "CR4.OSFXSR, bit 9", "CR4 is 0x20"]),
    Self(
      "avx-not-offered", "SandyBridge,-avx", "cpu.control-register-reserved-bit", 13,
      ["xsetbv", "0x7 to XCR0", "Bit 2", "turned off by -avx"], cure: "SandyBridge,+avx"),
    Self(
      "la57-in-long-mode", "max", "cpu.control-register-reserved-bit", 13,
      ["mov cr4", "0x1020", "LA57 cannot change while long mode is active"]),
    Self(
      "avx512-not-offered", "Skylake-Server", "cpu.host-cannot-offer", 6,
      ["vpxord", "CPUID.07H:EBX[16]", "-cpu Skylake-Server asks for it", "TCG cannot offer it"]),
  ]

  static let underKVM = [
    Self("sse-not-enabled", "qemu64", "cpu.feature-not-enabled", 6, ["movups", "CR4.OSFXSR, bit 9", "CR4 is 0x20"]),
    Self(
      "nx-not-offered", "qemu64,-nx", "cpu.control-register-reserved-bit", 13,
      ["wrmsr", "EFER", "Bit 11", "turned off by -nx"], cure: "qemu64,+nx"),
    Self(
      "la57-in-long-mode", "qemu64", "cpu.control-register-reserved-bit", 13,
      ["mov cr4", "0x1020", "LA57 cannot change while long mode is active"]),
    Self("msr-not-there", "qemu64", "cpu.unknown-msr", 13, ["rdmsr", "0x19c (IA32_THERM_STATUS)"]),
  ]

  /// Where KVM emulates each instruction: else the processor executes it, whatever CPUID says.
  static let underEmulatingKVM = [
    Self(
      "movbe-not-offered", "qemu64", "cpu.missing-feature", 6,
      ["movbe eax", "CPUID.01H:ECX[22]", "the model of -cpu qemu64 lacks it"]),
    Self(
      "movbe-not-offered", "Haswell", "cpu.host-cannot-offer", 6,
      ["movbe eax", "CPUID.01H:ECX[22]", "-cpu Haswell asks for it", "this host's KVM cannot offer it"]),
  ]
}

/// The verdict, and that its cure cures: the option where there is one, else the mended twin.
private func check(_ mistake: ProcessorMistake, accelerator: String, confidences: Set<String>) async throws {
  let (finished, verdict) = try await run(try mistake.command(accelerator: accelerator))
  #expect(finished.status == 3, "\(finished)")
  let cause = try #require(verdict.cause, "\(finished)")
  #expect(cause.id == mistake.cause)
  #expect(confidences.contains(cause.confidence), "\(cause.confidence)")
  for words in mistake.words { #expect(cause.summary.contains(words), "\(cause.summary)") }
  #expect(verdict.fault?.vector == mistake.vector)
  #expect(verdict.fault?.symbol?.hasPrefix("main+0x") == true)
  let cured: [String]
  if let cure = mistake.cure {
    #expect(verdict.remedies.first?.change == "-cpu \(cure)")
    #expect(verdict.remedies.first?.available == true)
    cured = try mistake.command(accelerator: accelerator, model: cure)
  } else {
    #expect(verdict.remedies.contains { $0.kind == "guest" })
    cured = try mistake.guest.cured.command(accelerator: accelerator, ["-cpu", mistake.model, "-no-reboot"])
  }
  let (lived, mended) = try await run(cured)
  #expect(lived.standardOutput.contains("OK"), "\(lived)")
  #expect(mended.outcome == "ended")
  #expect(mended.cause == nil)
}

extension UnderTCG {
  @Suite("what the guest's processor has")
  struct ProcessorCauseTests {
    @Test(
      "the instruction or register, the bit and who decided are named; the cure cures",
      arguments: ProcessorMistake.underTCG)
    func dies(_ mistake: ProcessorMistake) async throws {
      try await check(mistake, accelerator: "tcg", confidences: ["proven"])
    }

    @Test("TCG reads 0 from an MSR that it does not know", arguments: ["qemu64"])
    func unknownMSR(_ model: String) async throws {
      let (finished, verdict) = try await run(try ExampleGuest("msr-not-there").command(["-cpu", model]))
      #expect(finished.standardOutput.contains("OK"))
      #expect(verdict.cause == nil)
    }
  }
}

extension UnderKVM {
  @Test(
    "what the guest's processor has: named, and the cure cures", arguments: ProcessorMistake.underKVM)
  func processorCauses(_ mistake: ProcessorMistake) async throws {
    let isRecorded = try await HostKVM.recordsTracepoints
    try await check(mistake, accelerator: "kvm", confidences: isRecorded ? ["proven"] : ["proven", "likely"])
  }

  @Test(
    "an instruction that the guest's processor lacks, where KVM emulates it",
    .enabled("this host's processor executes it whatever CPUID says") { try await HostKVM.refusesMOVBE },
    arguments: ProcessorMistake.underEmulatingKVM)
  func emulatedInstructions(_ mistake: ProcessorMistake) async throws {
    let isRecorded = try await HostKVM.recordsTracepoints
    try await check(mistake, accelerator: "kvm", confidences: isRecorded ? ["proven"] : ["likely"])
  }
}
