import Testing

/// Every command of these tests is checked for what it leaves behind; here, that the check sees it.
@Suite("what a command leaves behind is found")
struct LeftoverTests {
  @Test(
    "a file, and a process whose parent is gone",
    arguments: ["touch $TMPDIR/x", "touch $XDG_RUNTIME_DIR/x", "sleep 600 &"])
  func leftovers(_ script: String) async throws {
    var command = Command("sh", ["-c", script])
    command.patience = .zero
    await withKnownIssue { _ = try await command.run() }
  }

  @Test("nothing, where there is nothing")
  func nothing() async throws {
    #expect(try await Command("sh", ["-c", "touch $TMPDIR/x; rm $TMPDIR/x; sleep 0.01 & wait"]).run().status == 0)
  }

  @Test("a command that hangs is ended")
  func hangs() async throws {
    var command = Command("sleep", ["600"])
    command.timeLimit = .milliseconds(100)
    #expect(try await command.run().end == nil)
  }
}
