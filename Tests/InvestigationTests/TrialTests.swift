import QEMU
import Testing
import X86

@testable import Investigation

@Suite("What a run with a remedy shows")
struct TrialTests {
  private static func death(_ cause: String, at pointer: UInt64, _ vector: ExceptionVector = .invalidOpcode) -> Verdict
  {
    var verdict = Verdict(outcome: .died, ending: "The guest died of a triple fault.")
    verdict.cause = Cause(id: cause, title: "", summary: "", confidence: .proven)
    verdict.fault = Fault(
      vector: vector, errorCode: nil, address: nil, instructionPointer: LinearAddress(pointer))
    return verdict
  }

  private static func hang(_ summary: String) -> Verdict {
    var verdict = Verdict(outcome: .hung, ending: "The guest hangs.")
    verdict.cause = Cause(id: "hang.spin", title: "", summary: summary, confidence: .likely)
    return verdict
  }

  private static let lacking = death("cpu.missing-feature", at: 0x1000)
  private static let withExit = ["-device", "isa-debug-exit"]

  static let rows: [(Verdict, Ending, [String], Trial.Result)] = [
    (lacking, .reset, [], .sameDeath),
    (death("cpu.missing-feature", at: 0x2000), .reset, [], .otherDeath),
    (death("cpu.missing-feature", at: 0x1000, .generalProtection), .reset, [], .otherDeath),
    (death("paging.not-present", at: 0x1000), .reset, [], .otherDeath),
    (Verdict(outcome: .died, ending: ""), .reset, [], .otherDeath),
    (hang("A"), .timedOut, [], .sameDeath),
    (hang("B"), .timedOut, [], .otherDeath),
    (Verdict(outcome: .ended, ending: ""), .poweredOff, [], .lived),
    (Verdict(outcome: .ended, ending: ""), .reset, [], .lived),
    (Verdict(outcome: .ended, ending: ""), .exited(status: 0), [], .lived),
    (Verdict(outcome: .ended, ending: ""), .exited(status: 33), withExit, .lived),
    // QEMU's own status for an error.
    (Verdict(outcome: .ended, ending: ""), .exited(status: 1), [], .undetermined),
    (Verdict(outcome: .ended, ending: ""), .exited(status: 2), withExit, .undetermined),
    (Verdict(outcome: .ended, ending: ""), .stopped, [], .undetermined),
    (Verdict(outcome: .undetermined, ending: ""), .timedOut, [], .ranOn),
    (Verdict(outcome: .undetermined, ending: ""), .reset, [], .undetermined),
    (Verdict(outcome: .undetermined, ending: ""), .signalled(11), [], .undetermined),
  ]

  @Test("lived, died of the same or of something else, or not known", arguments: rows)
  func result(_ verdict: Verdict, _ ending: Ending, _ options: [String], _ expected: Trial.Result) {
    let line = QEMUCommandLine(program: "qemu-system-x86_64", arguments: options)
    let result = Trial.result(of: verdict, ending, on: line, after: [Self.lacking, Self.hang("A")])
    #expect(result.result == expected)
  }
}
