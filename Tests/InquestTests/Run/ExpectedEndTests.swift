import Testing

/// The verdict on a guest, and that its cure lets it live.
private func check(_ expected: ExpectedEnd, accelerator: String) async throws {
  let command = try expected.command(accelerator: accelerator)
  let (finished, verdict) = try await run(
    command, options: expected.end == "hang" ? ["--stall", "1", "--timeout", "60"] : [])
  #expect(verdict.cause?.id == expected.cause, "\(finished)")
  // Where the table has none, what the exception is depends on what firmware, a device or nobody leaves there.
  if let vector = expected.vector { #expect(verdict.fault?.vector == vector, "\(finished)") }
  if expected.end == "lives" { #expect(finished.standardOutput.contains("OK"), "\(finished)") }
  if let cured = try expected.curedCommand(accelerator: accelerator) {
    let lived = try await runQEMU(cured)
    #expect(lived.standardOutput.contains("OK"), "\(lived)")
  }
}

@Test("the table of expected ends can be read")
func expectedEnds() {
  #expect(ExpectedEnd.all(of: "tcg").count > 60)
}

extension UnderTCG {
  @Suite("every example guest")
  struct ExpectedEndTests {
    @Test("the first exception and the cause are told; the cure cures", arguments: ExpectedEnd.all(of: "tcg"))
    func expectedEnd(_ expected: ExpectedEnd) async throws {
      try await check(expected, accelerator: "tcg")
    }
  }
}

extension UnderKVM {
  /// Firmware takes seconds where KVM emulates it, so these are one of each kind; `make matrix` runs all.
  @Test(
    "example guests: the first exception and the cause; the cure cures",
    arguments: ExpectedEnd.all(of: "kvm").filter {
      ["null-call", "selector-beyond-gdt", "stack-overflow"].contains($0.guest.name)
    })
  func expectedEnd(_ expected: ExpectedEnd) async throws {
    try await check(expected, accelerator: "kvm")
  }
}
