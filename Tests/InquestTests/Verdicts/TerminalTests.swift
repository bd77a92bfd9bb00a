import Testing

/// A verdict on a terminal: `script` runs the command on one.
@Suite("inquest: a verdict on a terminal")
struct TerminalTests {
  static let evidence = [
    ["post.trace.txt"], ["post.qemu.log"], ["post.trace.txt", "post.qemu.log"], ["dies.report.txt", "guest.elf"],
    ["pvm.script.txt", "pvm.qemu.log"],
  ]

  private static let escape: Character = "\u{1B}"

  private func onTerminal(_ files: [String], _ environment: [String: String]) async throws -> FinishedCommand {
    let words = ([try InquestCommand.path(), "examine"] + files.map(fixture)).map { "'\($0)'" }
    var command = Command("script", ["-qec", words.joined(separator: " "), "/dev/null"])
    command.environment = ["TERM": "xterm"].merging(environment) { $1 }
    return try await command.run()
  }

  @Test("fits 80 columns, with and without one", arguments: evidence)
  func width(_ files: [String]) async throws {
    let plain = try await inquest(["examine"] + files.map(fixture))
    #expect(!plain.standardOutput.isEmpty && !plain.standardOutput.contains(Self.escape), "\(plain)")
    for line in plain.standardOutput.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    let coloured = try await onTerminal(files, [:])
    #expect(coloured.status == plain.status, "\(coloured)")
    #expect(coloured.standardOutput.contains(Self.escape), "\(coloured)")
    // Colour is all that differs.
    let stripped = coloured.standardOutput.replacing(/\u{1B}\[[0-9;]*m/, with: "").replacing("\r\n", with: "\n")
    #expect(stripped == plain.standardOutput)
  }

  @Test("has no colour where none is wanted", arguments: [["NO_COLOR": "1"], ["TERM": "dumb"]])
  func noColour(_ environment: [String: String]) async throws {
    let finished = try await onTerminal(["post.trace.txt"], environment)
    #expect(finished.status == 3, "\(finished)")
    #expect(finished.standardOutput.contains("paging.reserved-bit"))
    #expect(!finished.standardOutput.contains(Self.escape), "\(finished)")
  }

  @Test("goes into a file without colour")
  func file() async throws {
    let folder = try Folder()
    let finished = try await inquest(["examine", "-o", folder.path("verdict"), fixture("post.trace.txt")])
    #expect(finished.status == 3, "\(finished)")
    #expect(finished.standardOutput.isEmpty)
    #expect(try folder.text(of: "verdict").contains("paging.reserved-bit"))
    #expect(try !folder.text(of: "verdict").contains(Self.escape))
  }

  @Test("is a page of HTML where that is wanted; what is no verdict is not")
  func page() async throws {
    let finished = try await inquest(["examine", "--format", "html", fixture("post.trace.txt")])
    #expect(finished.status == 3, "\(finished)")
    #expect(finished.standardOutput.hasPrefix("<!DOCTYPE html>"))
    #expect(finished.standardOutput.contains("x86_decode_insn"))
    let map = try await inquest(["walk", "--format", "html", "0x133025", fixture("post.qemu.log")])
    #expect(map.status == 2, "\(map)")
  }
}
