import Foundation
import Subprocess
import Testing

/// A signal that ends `inquest run` while a guest runs.
struct Interruption: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let signal: Signal
  var toGroup = false
  /// Whether Inquest can do something before it ends.
  var isFelt = true

  static let all = [
    Interruption(testDescription: "SIGINT", signal: .interrupt),
    Interruption(testDescription: "SIGINT from the terminal, to QEMU too", signal: .interrupt, toGroup: true),
    Interruption(testDescription: "SIGTERM", signal: .terminate),
    Interruption(testDescription: "SIGHUP", signal: .terminalClosed),
    Interruption(testDescription: "SIGKILL", signal: .kill, isFelt: false),
  ]
}

extension UnderTCG {
  @Suite("ends and refusals from outside")
  struct InterruptionTests {
    /// That QEMU is gone is checked after every command.
    @Test("a signal to inquest ends the guest", arguments: Interruption.all)
    func signal(_ interruption: Interruption) async throws {
      let folder = try Folder()
      let command = qemu(try BootSector.runsForEver.options(in: folder))
      let finished = try await inquest(["run", "--"] + command) { running in
        try await running.awaitOutput("R")
        try running.send(interruption.signal, toGroup: interruption.toGroup)
      }
      guard interruption.isFelt else {
        #expect(finished.end == .signaled(interruption.signal.rawValue), "\(finished)")
        return
      }
      #expect(finished.status != nil, "\(finished)")
      #expect(finished.status != 3 && finished.status != 4, "\(finished)")
      #expect(finished.standardOutput.contains("stopped from outside"), "\(finished)")
    }

    /// The first signal waits for QEMU to answer, for half a minute and more in all; each signal alone would pass this test, later.
    @Test(
      "a second signal ends a QEMU that does not answer",
      arguments: Interruption.all.filter { $0.isFelt && !$0.toGroup })
    func impatience(_ interruption: Interruption) async throws {
      let folder = try Folder()
      let command = qemu(try BootSector.runsForEver.options(in: folder))
      let finished = try await inquest(["run", "--"] + command) { running in
        try await running.awaitOutput("R")
        let child = try #require(running.children.first)
        kill(child, SIGSTOP)
        try running.send(interruption.signal)
        try await Task.sleep(for: .milliseconds(300))
        try running.send(interruption.signal)
      }
      #expect(finished.status == 128 + interruption.signal.rawValue, "\(finished)")
      #expect(finished.standardOutput.contains("stopped from outside"), "\(finished)")
    }

    @Test("a QEMU that does not answer is killed, and said to have been stopped")
    func silent() async throws {
      let folder = try Folder()
      let command = qemu(try BootSector.runsForEver.options(in: folder))
      let (finished, verdict) = try await run(command) { running in
        try await running.awaitOutput("R")
        kill(try #require(running.children.first), SIGSTOP)
        try running.send(.interrupt)
      }
      #expect(finished.status == 4, "\(finished)")
      #expect(verdict.ending.contains("did not answer"), "\(finished)")
      #expect(verdict.ending.contains("a debugger had stopped it"), "\(finished)")
    }

    @Test("Ctrl-C stops a guest that hangs, and says why it does", arguments: Interruption.all.filter(\.isFelt))
    func hang(_ interruption: Interruption) async throws {
      let folder = try Folder()
      let command = qemu(try BootSector.halts.options(in: folder))
      let (finished, verdict) = try await run(command) { running in
        try await running.awaitOutput("H")
        try running.send(interruption.signal, toGroup: interruption.toGroup)
      }
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict.outcome == "hung")
      #expect(verdict.ending.contains("stopped from outside"))
      #expect(verdict.cause?.id == "hang.interrupts-off")
    }

    static let refusals: [([String], String)] = [
      (["no-such-qemu", "-accel", "tcg"], "no-such-qemu"),
      (["/no/such/qemu", "-accel", "tcg"], "/no/such/qemu"),
      (qemu(["-no-such-option"]), "-no-such-option"),
      (qemu(["-cpu", "NoSuchModel"]), "NoSuchModel"),
      (qemu(["-machine", "no-such-machine"]), "machine type"),
      (qemu(["-kernel", "/no/such/kernel"]), "/no/such/kernel"),
      (qemu(["-drive", "file=/no/such/disk"]), "/no/such/disk"),
      (qemu(["-device", "no-such-device"]), "no-such-device"),
      (qemu(["-m", "no-such-size"]), "no-such-size"),
      (qemu(["-daemonize"]), "-daemonize"),
      (["false"], "false"),
      (["true"], "true"),
      (["/dev/null"], "/dev/null"),
    ]

    @Test("what keeps QEMU from starting is named", arguments: refusals)
    func refusal(_ command: [String], _ name: String) async throws {
      let finished = try await inquest(["run", "--"] + command)
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardOutput.isEmpty)
      #expect(finished.standardError.contains("inquest: "))
      #expect(finished.standardError.contains(name), "\(finished)")
    }

    @Test("an image that --image names and that cannot be read")
    func image() async throws {
      let finished = try await inquest(["run", "--image", "/no/such/image", "--"] + qemu([]))
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardError.contains("/no/such/image"))
    }
  }
}
