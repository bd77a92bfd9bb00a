import Testing

/// Texts with the registers of more than one vCPU.
@Suite("inquest examine: dumps of several processors")
struct SeveralProcessorsTests {
  @Test("all that `info registers -a` shows are looked at")
  func all() async throws {
    let (finished, verdict) = try await examine([fixture("../qemu/info-registers.log")])
    #expect(finished.status == 4, "\(finished)")
    #expect(verdict.observations.mention("64-bit mode", "0xf0082"))
    #expect(verdict.observations.mention("Processor 1 was never started"))
  }

  @Test("a dump that another vCPU's error cuts in two is one")
  func cutInTwo() async throws {
    let text = String(decoding: try contents(ofFixture: "../qemu/kvm-emulation-failure.log"), as: UTF8.self)
    let error = "KVM internal error. Suberror: 1\nemulation failure\n"
    let (_, whole) = try await examine(["-"], standardInput: Array(text.utf8))
    let (_, cut) = try await examine(
      ["-"], standardInput: Array(text.replacing("CR0=", with: error + "CR0=", maxReplacements: 1).utf8))
    #expect(cut.cause?.id == whole.cause?.id && cut.outcome == "died")
    #expect(cut.observations.count == whole.observations.count, "\(cut.observations)")
  }
}
