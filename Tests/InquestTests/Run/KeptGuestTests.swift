import Foundation
import Subprocess
import Testing

extension UnderTCG {
  @Suite("--gdb and --keep")
  struct KeptGuestTests {
    private let dying = ExampleGuest("movbe-not-offered")

    private func command() throws -> [String] { try dying.command(["-cpu", "qemu64", "-no-reboot"]) }

    /// Runs a guest that dies and is kept; `body` gets what inquest says of it.
    private func keep(
      _ options: [String], _ command: [String],
      _ body: @escaping @Sendable (RunningCommand, String) async throws -> Void
    ) async throws -> FinishedCommand {
      try await inquest(["run"] + options + ["--"] + command) { running in
        try await running.awaitErrors(options.contains("--keep") ? "nc -U " : "RIP is ")
        try await body(running, try running.errors())
      }
    }

    @Test("GDB comes to the instruction, with the guest's symbols, by the command that is printed")
    func debugger() async throws {
      let finished = try await keep(["--gdb"], try command()) { running, errors in
        let line = try #require(errors.firstMatch(of: /gdb (-ex .*)\n/)).1
        let socket = try #require(errors.firstMatch(of: /target remote ([^']*)'/)).1
        let folder = try FileManager.default.attributesOfItem(
          atPath: URL(filePath: String(socket)).deletingLastPathComponent().path)
        #expect((folder[.posixPermissions] as? Int) == 0o700)
        #expect(errors.contains("RIP is 0x100016, main+0x16"))
        // Inquest's own client of gdbstubs.
        let walk = try await inquest(["walk", "0x100016", "--gdb", String(socket)])
        #expect(walk.standardOutput.contains("0x100016"), "\(walk)")
        if FileManager.default.isExecutableFile(atPath: "/usr/bin/gdb") {
          let seen = try await Command(
            "sh", ["-c", "gdb -nx -batch \(line) -ex 'info symbol $rip' -ex 'x/1i $rip' -ex 'monitor info status'"]
          ).run()
          #expect(seen.standardOutput.contains("main + 22 in section .text"), "\(seen)")
          #expect(seen.standardOutput.contains("movbe"), "\(seen)")
          #expect((seen.standardOutput + seen.standardError).contains("paused (shutdown)"), "\(seen)")
        } else {
          print("InquestTests: GDB is not here: only Inquest's own client was tried")
        }
        try running.send(.interrupt)
      }
      #expect(finished.status == 3, "\(finished)")
      #expect(finished.standardOutput.contains("cpu.missing-feature"))
    }

    @Test("a guest in 32-bit mode: GDB's view of its code is put right")
    func protectedMode() async throws {
      let guest = ExampleGuest("lgdt-operand-size")
      let finished = try await keep(["--gdb"], try guest.command(["-no-reboot"])) { running, errors in
        #expect(errors.contains("not in 64-bit mode"), "\(errors)")
        try running.send(.interrupt)
      }
      #expect(finished.status == 3, "\(finished)")
    }

    @Test("the monitor answers, and quit there ends everything")
    func monitor() async throws {
      let finished = try await keep(["--keep"], try command()) { running, errors in
        let socket = try #require(errors.firstMatch(of: /nc -U (.*)\n/)).1
        var monitor = try await UserMonitor(path: String(socket), of: running)
        try monitor.type("info status")
        _ = try await monitor.awaitLine("paused (shutdown)")
        try monitor.type("quit")
        // A connection that is closed takes with it what QEMU has not read.
        await #expect(throws: UserMonitor.Failure.self) { while true { _ = try await monitor.awaitLine("") } }
      }
      #expect(finished.status == 3, "\(finished)")
    }

    @Test("a gdbstub of the user's own is left alone and named")
    func ownDebugger() async throws {
      let folder = try Folder()
      let own = folder.path("stub")
      let finished = try await keep(["--gdb"], try command() + ["-gdb", "unix:\(own),server=on,wait=off"]) {
        running, errors in
        #expect(errors.contains("target remote \(own)'"), "\(errors)")
        try running.send(.interrupt)
      }
      #expect(finished.status == 3, "\(finished)")
    }

    /// That neither QEMU nor a file is left is checked after every command.
    @Test("a signal ends both, and leaves nothing", arguments: Interruption.all)
    func signal(_ interruption: Interruption) async throws {
      let finished = try await keep(["--gdb", "--keep"], try command()) { running, _ in
        try running.send(interruption.signal, toGroup: interruption.toGroup)
      }
      #expect(finished.status == (interruption.isFelt ? 3 : nil), "\(finished)")
    }

    @Test("a guest that ends by itself is not kept")
    func lives() async throws {
      let finished = try await inquest(["run", "--gdb", "--keep", "--"] + ExampleGuest("two-mib-pages").command())
      #expect(finished.status == 1, "\(finished)")
      #expect(!finished.standardError.contains("GDB"), "\(finished)")
    }
  }
}
