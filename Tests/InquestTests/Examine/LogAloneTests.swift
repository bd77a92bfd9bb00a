import Foundation
import Testing

extension UnderTCG {
  /// What a log of `-d int,cpu_reset` and the command line tell of the example guests that die: never another cause than the planted one, or one of
  /// which that is a special case.
  @Suite("the log alone")
  struct LogAloneTests {
    static let deaths = ExpectedEnd.all(of: "tcg").filter { $0.end == "triple-fault" }

    /// Where the log leaves more than one cause, so that a general one is named, or none.
    static let undecided: Set<String> = [
      "assumed-memory", "slide-through-zeroes", "user-touches-kernel", "no-handler-for-timer", "int80-without-gate",
      "gate-type", "idt-of-protected-mode", "wrong-cr3", "v86-interrupt", "gate-privilege", "code-overwritten",
      "breakpoint-without-gate", "long-mode-not-enabled", "code-of-64-bits", "code-of-32-bits",
    ]

    @Test("no wrong cause is named", arguments: deaths)
    func cause(_ expected: ExpectedEnd) async throws {
      let folder = try Folder()
      let command = try expected.command(accelerator: "tcg")
      let log = folder.path("int.log")
      _ = try await runQEMU(command + ["-d", "int,cpu_reset", "-D", log])
      let text = "$ \(command.joined(separator: " "))\n" + (try folder.text(of: "int.log"))
      let file = try folder.write(text.utf8, to: "qemu.log")
      let finished = try await inquest(["examine", "--format", "json", "--output", folder.path("verdict.json"), file])
      let verdict = try VerdictDocument(
        try folder.text(of: "verdict.json"), of: finished, sourceLocation: #_sourceLocation)
      let cause = verdict.cause?.id
      guard Self.undecided.contains(expected.guest.name) else {
        #expect(cause == expected.cause, "\(finished)")
        return
      }
      if let cause, let special = expected.cause, cause != special {
        let page = try await inquest(["explain", "--format", "markdown", special]).standardOutput
        #expect(page.contains("A special case of ") && page.contains("`\(cause)`"), "\(cause)")
      }
    }
  }
}
