import Testing

@Suite("inquest: usage")
struct UsageTests {
  static let mistakes: [([String], String)] = [
    (["examine"], "<file>"),
    (["examine", "--no-such-option", "x"], "--no-such-option"),
    (["examine", "-", "-"], "standard input"),
    (["examine", "--format", "yaml", "x"], "yaml"),
    (["run"], "QEMU command line"),
    (["run", "--"], "QEMU command line"),
    (["run", "qemu-system-x86_64"], "--"),
    (["run", "--no-such-option", "--", "qemu-system-x86_64"], "--no-such-option"),
    (["run", "--timeout", "soon", "--", "qemu-system-x86_64"], "soon"),
    (["run", "--timeout", "-1", "--", "qemu-system-x86_64"], "--timeout"),
    (["autopsy"], "autopsy"),
    (["--no-such-option"], "--no-such-option"),
  ]

  @Test("a mistake is named, with status 2 and nothing on standard output", arguments: mistakes)
  func mistake(_ arguments: [String], _ name: String) async throws {
    let finished = try await inquest(arguments)
    #expect(finished.status == 2, "\(finished)")
    #expect(finished.standardOutput.isEmpty)
    #expect(finished.standardError.contains(name), "\(finished)")
  }

  static let helps: [([String], String)] = [
    (["--help"], "inquest run -- qemu-system-x86_64 "),
    (["--help"], "inquest examine "),
    (["run", "--help"], "inquest run -- qemu-system-x86_64 "),
    (["examine", "--help"], "inquest examine "),
    (["examine", "--help"], "| inquest examine -"),
    (["cpu", "--help"], "inquest cpu Haswell"),
    (["help", "examine"], "| inquest examine -"),
  ]

  @Test("help shows an example", arguments: helps)
  func help(_ arguments: [String], _ example: String) async throws {
    let finished = try await inquest(arguments)
    #expect(finished.status == 0, "\(finished)")
    #expect(finished.standardOutput.contains(example), "\(finished)")
    #expect(finished.standardError.isEmpty)
  }

  @Test("help tells what the exit statuses mean")
  func statuses() async throws {
    #expect(try await inquest(["--help"]).standardOutput.contains("Exit status: 3"))
  }

  @Test("the version is told")
  func version() async throws {
    let finished = try await inquest(["--version"])
    #expect(finished.status == 0, "\(finished)")
    #expect(finished.standardOutput.contains(/^[0-9]+\.[0-9]+/))
  }
}
