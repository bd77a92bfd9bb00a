import Subprocess
import Testing

extension UnderTCG {
  /// That guests which hang are found is tested with the example guests; here is that others are not.
  @Suite("--stall")
  struct StallTests {
    @Test("a guest that computes is left alone, whatever its interrupts")
    func computes() async throws {
      let folder = try Folder()
      let (finished, verdict) = try await run(
        qemu(try BootSector.computes.options(in: folder)), options: ["--stall", "0.2"])
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardOutput == "C")
      #expect(verdict.outcome == "ended")
    }

    @Test(
      "a guest that waits for input, for interrupts, or in a jump to itself with interrupts on is left alone",
      arguments: [(BootSector.echoes, "E"), (.waits, "W"), (.runsForEver, "R")])
    func waits(_ sector: BootSector, _ output: String) async throws {
      let folder = try Folder()
      let (finished, verdict) = try await run(
        qemu(try sector.options(in: folder)), options: ["--stall", "0.2", "--timeout", "4"])
      #expect(finished.standardOutput.hasPrefix(output), "\(finished)")
      #expect(verdict.outcome == "undetermined", "\(verdict)")
      #expect(verdict.cause == nil, "\(verdict)")
    }

    @Test("a guest that an interrupt of the I/O APIC slows down gets on, and is left alone")
    func crawls() async throws {
      let command = try ExampleGuest("ioapic-not-acknowledged").command(["-cpu", "qemu64"])
      let (finished, verdict) = try await run(command, options: ["--stall", "0.2"])
      #expect(finished.standardOutput == "OK\n", "\(finished)")
      #expect(verdict.outcome == "ended", "\(verdict)")
    }

    @Test("a guest that hangs is found at once, and kept if that is wanted")
    func kept() async throws {
      let command = try ExampleGuest("spin-for-ever").command(["-cpu", "qemu64"])
      let finished = try await inquest(["run", "--stall", "0.4", "--gdb", "--"] + command) { running in
        try await running.awaitErrors("RIP is ")
        try running.send(.interrupt)
      }
      #expect(finished.status == 3, "\(finished)")
      #expect(finished.standardOutput.contains("it made no progress over 9 looks"), "\(finished)")
      #expect(finished.standardOutput.contains("hang.spin"))
    }

    @Test("what a guest that hangs wrote on the screen is shown, also from its case")
    func screen() async throws {
      let folder = try Folder()
      let kept = folder.path("case")
      let disk = try BootSector.writesOnScreen.options(in: folder)
      let (finished, verdict) = try await run(
        ["qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-nic", "none"] + disk,
        options: ["--stall", "0.4", "--save", kept])
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict.cause?.id == "hang.interrupts-off")
      #expect(verdict.observations.contains { $0.text.contains("Refused\"") }, "\(verdict.observations)")
      let again = try await inquest(["examine", kept])
      #expect(again.standardOutput.contains("Refused\""), "\(again)")
    }

    @Test("a guest that dies later is still found to die, its log whole")
    func diesLater() async throws {
      let folder = try Folder()
      let (finished, verdict) = try await run(
        qemu(try BootSector.tripleFaults.options(in: folder)), options: ["--stall", "0.1"])
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict.cause?.id == "instruction.trap")
    }
  }
}
