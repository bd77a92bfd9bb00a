import Testing

@testable import Capture

@Suite struct TracepointSelectorTests {
  @Test(
    arguments: [
      ("kvm_exit", nil, "kvm_exit", nil), ("kvm:kvm_exit", "kvm", "kvm_exit", nil), ("kvm*:*", "kvm*", "*", nil),
      ("kvm:kvm_emulate_insn if failed==1", "kvm", "kvm_emulate_insn", "failed==1"),
      (" kvm_pio  if port == 0x64 && rw == 1 ", nil, "kvm_pio", "port == 0x64 && rw == 1"),
    ] as [(String, String?, String, String?)])
  func `is read from text`(text: String, system: String?, name: String, filter: String?) throws {
    let selector = try #require(TracepointSelector(text))
    #expect(selector == TracepointSelector(system: system, name: name, filter: filter))
  }

  @Test(arguments: ["", " ", "kvm:", ":kvm_exit", "kvm_exit if ", "kvm exit", "kvm_exit  if"])
  func `other text is none`(text: String) { #expect(TracepointSelector(text) == nil) }

  @Test(arguments: [
    ("kvm_exit", true), ("kvm:kvm_exit", true), ("kvm:*", true), ("*", true), ("kvmmmu:*", false),
    ("kvm_e?it", true), ("kvm_entry", false),
  ]) func `takes what its patterns describe`(text: String, takes: Bool) throws {
    #expect(try #require(TracepointSelector(text)).takes("kvm_exit", of: "kvm") == takes)
  }
}

@Suite struct EventChoiceTests {
  private func choice(_ module: String?, twoDimensional: Bool?) -> EventChoice {
    .suited(
      to: HostKVM(
        device: .usable, capabilities: nil, vendorModule: module.map { HostFact($0, source: "test") },
        usesTwoDimensionalPaging: twoDimensional.map { HostFact($0, source: "test") }, ignoresUnknownMSRs: nil,
        kernelRelease: nil))
  }

  @Test(
    "how much of the emulator's firehose is taken depends on how much the host emulates",
    arguments: [
      ("kvm_pvm", false, false, nil), ("kvm_intel", true, true, nil), ("kvm_amd", true, true, nil),
      ("kvm_intel", false, true, "failed==1"), ("kvm_amd", nil, true, "failed==1"), (nil, nil, true, "failed==1"),
    ] as [(String?, Bool?, Bool, String?)])
  func emulation(_ module: String?, _ twoDimensional: Bool?, _ isTaken: Bool, _ filter: String?) {
    let choice = choice(module, twoDimensional: twoDimensional)
    let selector = choice.selectors.first { $0.takes("kvm_emulate_insn", of: "kvm") }
    #expect((selector != nil) == isTaken)
    #expect(selector?.filter == filter)
    #expect(!choice.reason.isEmpty)
  }

  @Test(
    "what other events say as well is left out where the processor runs the guest's instructions, or walks its tables",
    arguments: [
      ("kvm_pvm", false, ["kvm_entry", "kvm_mmio"]), ("kvm_intel", true, []), ("kvm_amd", true, []),
      ("kvm_amd", false, ["kvm_entry"]), ("kvm_intel", false, ["kvm_entry"]),
    ])
  func details(_ module: String, _ twoDimensional: Bool, _ taken: [String]) {
    let choice = choice(module, twoDimensional: twoDimensional)
    let found = ["kvm_entry", "kvm_mmio"].filter { name in
      choice.selectors.contains { $0.takes(name, of: "kvm") }
    }
    #expect(found == taken)
  }

  @Test(arguments: ["kvm_intel", "kvm_amd", "kvm_pvm", nil])
  func `what tells of a death is always taken`(module: String?) {
    let choice = choice(module, twoDimensional: true)
    for selector in EventChoice.least.selectors { #expect(choice.selectors.contains(selector)) }
  }
}
