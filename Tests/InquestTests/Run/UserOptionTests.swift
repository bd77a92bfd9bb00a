import Foundation
import Testing

extension UnderTCG {
  /// What a user's own options do without Inquest they do with it.
  @Suite("the user's own options")
  struct UserOptionTests {
    static let options: [[String]] = [
      ["-no-reboot"], ["-no-shutdown"], ["-no-reboot", "-no-shutdown"], ["-action", "reboot=shutdown,shutdown=pause"],
      ["-machine", "q35"], ["-machine", "q35", "-m", "256M"], ["-smp", "2"], ["-monitor", "none"],
      ["-name", "guest,debug-threads=on"],
      ["-m", "128M", "-object", "memory-backend-ram,id=mine,size=128M", "-machine", "pc,memory-backend=mine"],
      [
        "-m", "128M", "-object", "memory-backend-memfd,id=mine,size=128M,share=on", "-machine",
        "q35,memory-backend=mine",
      ],
    ]

    /// The guest that dies in its own time, for a write to data.
    private let dying = ExampleGuest("nx-not-enabled")

    private func expectDeath(_ options: [String]) async throws {
      let (finished, verdict) = try await run(try dying.command(options))
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict.cause?.id == "paging.reserved-bit")
      #expect(verdict.walk?.levels.last?.offendingBits == "0x8000000000000000")
      #expect(verdict.fault?.symbol?.hasPrefix("main+0x") == true)
    }

    @Test("a guest that dies is explained all the same", arguments: options)
    func dies(_ options: [String]) async throws { try await expectDeath(options) }

    @Test("a guest that lives ends as it would", arguments: options)
    func lives(_ options: [String]) async throws {
      let (finished, verdict) = try await run(try ExampleGuest("two-mib-pages").command(options))
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardOutput.contains("OK"))
      #expect(verdict.outcome == "ended")
      #expect(verdict.cause == nil)
    }

    @Test("memory above 4 GiB", .enabled("this machine has less than 6 GiB to spare") { try availableMiB() > 6144 })
    func fiveGiB() async throws { try await expectDeath(["-m", "5G"]) }

    @Test("a log of the user's own", arguments: ["int", "int,cpu_reset"])
    func log(_ items: String) async throws {
      let folder = try Folder()
      try await expectDeath(["-d", items, "-D", folder.path("qemu.log")])
      let log = try folder.text(of: "qemu.log")
      #expect(log.contains("v=0e "))
      #expect(log.contains("Triple fault") == items.contains("cpu_reset"))
    }

    @Test("a QMP monitor of the user's own, who resets the machine and ends it")
    func monitor() async throws {
      let folder = try Folder()
      let socket = folder.path("qmp")
      let command = qemu(
        try BootSector.runsForEver.options(in: folder) + ["-qmp", "unix:\(socket),server=on,wait=off"])
      let (finished, verdict) = try await run(command) { running in
        try await running.awaitOutput("R")
        var monitor = try await UserMonitor(path: socket, of: running)
        _ = try await monitor.awaitLine("\"QMP\"")
        try monitor.send("qmp_capabilities")
        try monitor.send("query-status")
        #expect(try await monitor.awaitLine("\"status\"").contains("\"running\""))
        try monitor.send("system_reset")
        try await running.awaitOutput("RR")
        try monitor.send("quit")
        _ = try await monitor.awaitLine("host-qmp-quit")
      }
      #expect(finished.status == 0, "\(finished)")
      #expect(finished.standardOutput == "RR")
      #expect(verdict.outcome == "ended")
      #expect(verdict.cause == nil)
    }

    @Test("a guest that starts when the user says so")
    func startsPaused() async throws {
      let folder = try Folder()
      let socket = folder.path("qmp")
      let command = try ExampleGuest("two-mib-pages").command(["-S", "-qmp", "unix:\(socket),server=on,wait=off"])
      let (finished, verdict) = try await run(command) { running in
        var monitor = try await UserMonitor(path: socket, of: running)
        try monitor.send("qmp_capabilities")
        try monitor.send("query-status")
        #expect(try await monitor.awaitLine("\"status\"").contains("\"running\": false"))
        try monitor.send("cont")
        try await running.awaitOutput("OK")
      }
      #expect(finished.status == 1, "\(finished)")
      #expect(verdict.outcome == "ended")
    }

    @Test("standard input goes to the guest's console")
    func standardInput() async throws {
      let folder = try Folder()
      let finished = try await inquest(
        ["run", "--"] + qemu(try BootSector.echoes.options(in: folder)), standardInput: "x".utf8)
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardOutput.hasPrefix("Ex"), "\(finished)")
    }

    private static func availableMiB() throws -> Int {
      let text = try String(contentsOfFile: "/proc/meminfo", encoding: .utf8)
      let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
      return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
    }
  }
}
