import Testing

/// Guests that have guests of their own, under a real kvm_amd.
@Suite("in the lab: nested guests", .enabled("make lab-test runs it") { Laboratory.isWanted })
struct InLabNestedTests {
  @Test("which level failed, and what both dimensions of tables say")
  func levels() async throws {
    let dies = try ExampleGuest("nested-guest-dies").laboratoryCommand(cpu: "EPYC,+svm")
    let lives = try ExampleGuest("nested-guest-dies-cured").laboratoryCommand(cpu: "EPYC,+svm")
    let hole = try ExampleGuest("nested-page-hole").laboratoryCommand(cpu: "EPYC,+svm")
    let job = try await Laboratory.run(
      """
      $INQUEST run --no-save --format json -o $RESULTS/nested -- \(dies) -no-reboot
      $INQUEST run --no-save --format json -o $RESULTS/own -- \(hole) -no-reboot
      $INQUEST run --no-save -- \(lives) -no-reboot > $RESULTS/lives
      trace-cmd record -q -e kvm -e kvmmmu -o $RESULTS/trace.dat \(dies) -no-reboot > /dev/null
      $INQUEST examine --format json -o $RESULTS/recorded $RESULTS/trace.dat
      """)
    let nested = try VerdictDocument(try job.text(of: "nested"), of: job.finished, sourceLocation: #_sourceLocation)
    #expect(nested.level == 2, "\(job)")
    #expect(nested.cause?.id == "paging.not-present")
    #expect(nested.fault?.address == "0x400000")
    #expect(nested.walk?.levels.map(\.entryAddress) == ["0x1000", "0x2000", "0x3010"])
    #expect(nested.walk?.levels.map(\.hypervisorAddress) == ["0x4001000", "0x4002000", "0x4003010"])
    #expect(nested.remedies.map(\.kind) == ["guest"])
    #expect(nested.ending.contains("while it ran a guest of its own"))
    let own = try VerdictDocument(try job.text(of: "own"), of: job.finished, sourceLocation: #_sourceLocation)
    #expect(own.level == 1)
    #expect(own.cause?.id == "instruction.trap")
    let reflected = "the walk of its physical address 0x200000 through the guest's nested tables failed (0x6 (W|U))"
    #expect(own.observations.contains { $0.text.contains(reflected) }, "\(own.observations)")
    #expect(try job.text(of: "lives").hasPrefix("OK\n"))
    // Of a trace alone the registers are not known, and no walk of nested tables is taken for the guest's.
    let recorded = try VerdictDocument(try job.text(of: "recorded"), of: job.finished, sourceLocation: #_sourceLocation)
    #expect(recorded.level == 2)
    #expect(recorded.cause == nil)
  }
}
