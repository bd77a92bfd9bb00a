import Testing

/// A recording, as the tool that made it prints it.
struct PrintedRecording: Sendable, CustomTestStringConvertible {
  let command: [String]

  var testDescription: String {
    command.dropLast().joined(separator: " ") + " \(command.last?.split(separator: "/").last ?? "")"
  }

  static func traceCmd(_ name: String, _ options: String...) -> Self {
    Self(command: ["trace-cmd", "report"] + options + ["-i", fixture(name)])
  }

  /// `-f`: whoever owns the file.
  static func perf(_ name: String) -> Self { Self(command: ["perf", "script", "-f", "-i", fixture(name)]) }

  func text() async throws -> [UInt8] {
    let printed = try await Command(command[0], Array(command.dropFirst())).run()
    try #require(printed.status == 0 && !printed.standardOutput.isEmpty, "\(printed)")
    return Array(printed.standardOutput.utf8)
  }
}

@Suite("inquest examine: recordings, printed by their tools and piped in")
struct RecordingTests {
  static let deaths: [PrintedRecording] = [
    .traceCmd("dies.trace.dat"), .traceCmd("dies.trace.dat", "-N"), .perf("pvm.perf.data"),
  ]

  @Test("a death is explained", arguments: deaths)
  func dies(_ recording: PrintedRecording) async throws {
    let (finished, verdict) = try await examine(["-", fixture("guest.elf")], standardInput: try await recording.text())
    #expect(finished.status == 3, "\(finished)")
    #expect(verdict.cause?.id == "paging.reserved-bit")
    #expect(verdict.cause?.confidence == "proven")
    let entry = verdict.walk?.levels.last
    #expect(entry?.table == "PDPTE")
    #expect(entry?.value == "0x83")
    #expect(entry?.entryAddress == "0x103000")
    #expect(entry?.offendingBits == "0x80")
    #expect(verdict.fault?.instructionPointer == "0x10006d")
    // The first instruction after CR0.PG is set (guest.asm).
    #expect(verdict.fault?.source?.contains("guest.asm") == true, "\(finished)")
    #expect(verdict.chain.mention("triple fault"))
  }

  @Test("a guest that lived is not declared dead", arguments: [[], ["-N"]])
  func boots(_ options: [String]) async throws {
    let recording = PrintedRecording(command: ["trace-cmd", "report"] + options + ["-i", fixture("boots.trace.dat")])
    let (finished, verdict) = try await examine(["-"], standardInput: try await recording.text())
    #expect(finished.status == 0 || finished.status == 4, "\(finished)")
    #expect(verdict.outcome != "died")
    #expect(verdict.cause == nil)
  }
}
