import QEMU
import X86

/// `interrupt.tss-missing` as TCG reports it: it ends QEMU where a stack is to come from a TSS that TR does not hold.
///
/// LTR leaves a TSS that is available in TR; what a reset leaves there is a busy one of no use (target/i386/tcg/seg_helper.c:
/// get_ss_esp_from_tss, `invalid tss`, `invalid tss type`, 7.2).
struct NoTaskUnderTCG: CauseOfFailure {
  private let reason: String
  private let source: Source
  /// TR, where QEMU's last dump shows it.
  private let selector: UInt16?

  init?(_ failure: ReportedFailure) {
    for entry in failure.scene.log.reversed() {
      guard case .fatal(let reason) = entry.value else { continue }
      guard reason.hasPrefix("invalid tss") else { return nil }
      (self.reason, source) = (reason, entry.source)
      let state = failure.state ?? failure.scene.lastDump?.state
      selector = state?.tr.selector.rawValue
      return
    }
    return nil
  }

  private var kind: HandlerObstacle { .tssMissing }
  var id: String { kind.rawValue }
  var title: String { kind.title }

  var summary: String {
    let register =
      selector.map { $0 == 0 ? "TR was never loaded (selector 0)" : "TR (\($0.hexadecimal)) holds no TSS of 32 bits" }
      ?? "TR holds none"
    return
      "An interrupt, an exception or a call gate led from a user program to the kernel, whose stack comes from the TSS, and \(register). A processor raises #TS there, or takes what lies at TR's base; TCG gives up (`\(reason)`)."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "put a TSS with SS0 and ESP0 into the GDT, and load TR with its selector (LTR), before the first user program runs",
        "From CPL 3 every interrupt needs it.")
    ]
  }

  var evidence: [Evidence] { [Evidence("QEMU says: \(reason)", source)] }
}
