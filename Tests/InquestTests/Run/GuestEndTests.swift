import Testing

extension UnderTCG {
  /// Ends that are no deaths.
  @Suite("guests that end, or do not")
  struct GuestEndTests {
    @Test("a guest that resets the machine goes on", arguments: Reset.allCases)
    func reset(_ reset: Reset) async throws {
      let folder = try Folder()
      let command = qemu(try BootSector.resetsOnce(by: reset).options(in: folder))
      let (finished, verdict) = try await run(command)
      #expect(finished.standardOutput == "12", "\(finished)")
      #expect(finished.status == 1)
      #expect(verdict.outcome == "ended")
      #expect(verdict.cause == nil)
    }

    @Test("with -no-reboot, a reset is the end and no death", arguments: Reset.allCases)
    func noReboot(_ reset: Reset) async throws {
      let folder = try Folder()
      let command = qemu(try BootSector.resetsOnce(by: reset).options(in: folder) + ["-no-reboot"])
      let (finished, verdict) = try await run(command)
      #expect(finished.standardOutput == "1", "\(finished)")
      #expect(finished.status == 0)
      #expect(verdict.ending.contains(reset.words), "\(verdict.ending)")
      #expect(verdict.outcome == "ended")
      #expect(verdict.cause == nil)
    }

    @Test("a guest that dies in real mode is followed to the end of its vectors")
    func tripleFault() async throws {
      let folder = try Folder()
      let (finished, verdict) = try await run(qemu(try BootSector.tripleFaults.options(in: folder)))
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict.outcome == "died")
      #expect(verdict.ending.contains("triple fault"))
      #expect(verdict.cause?.id == "instruction.trap")
      #expect(verdict.cause?.summary.contains("`int3`") == true)
      #expect(verdict.chain.contains { $0.text.contains("the limit of real mode's vectors, 0x0") })
    }

    @Test("a guest that turns the machine off ends well", arguments: [[], ["-no-reboot"]])
    func powerOff(_ options: [String]) async throws {
      let folder = try Folder()
      let (finished, verdict) = try await run(qemu(try BootSector.turnsOff.options(in: folder) + options))
      #expect(finished.status == 0, "\(finished)")
      #expect(finished.standardOutput == "O")
      #expect(verdict.ending.contains("through ACPI: it wrote 0x2000 (SLP_EN, SLP_TYP 0) to port 0x604, PM1a_CNT"))
      #expect(verdict.outcome == "ended")
      #expect(verdict.cause == nil)
    }

    @Test(
      "EFI's ResetSystem is told from the ports that it writes to",
      arguments: [
        ("reset -c", "through port 0xcf9"), ("reset -w", "through port 0x64"), ("reset -s", "turned itself off"),
      ])
    func resetSystem(_ line: String, _ words: String) async throws {
      let folder = try Folder()
      // The EFI shell runs this file of the first disk that has one.
      _ = try folder.write(Array("\(line)\r\n".utf8), to: "startup.nsh")
      let (finished, verdict) = try await run(
        qemu(["-bios", "/usr/share/ovmf/OVMF.fd", "-drive", "format=raw,file=fat:rw:\(folder.path)", "-net", "none"])
          + ["-no-reboot"])
      #expect(finished.status == 0, "\(finished)")
      #expect(verdict.outcome == "ended")
      #expect(verdict.ending.contains(words), "\(verdict.ending)")
      #expect(verdict.ending.contains("EFI's ResetSystem (a runtime driver of the firmware"), "\(verdict.ending)")
    }

    @Test(
      "--timeout ends a guest that runs on, undecided, and one that QEMU keeps when it is off",
      arguments: [
        (BootSector.runsForEver, [String](), 4 as Int32, "undetermined"),
        (BootSector.turnsOff, ["-no-shutdown"], 0, "ended"),
      ])
    func timeout(_ sector: BootSector, _ options: [String], _ status: Int32, _ outcome: String) async throws {
      let folder = try Folder()
      let (finished, verdict) = try await run(
        qemu(try sector.options(in: folder) + options), options: ["--timeout", "3"])
      #expect(finished.status == status, "\(finished)")
      #expect(verdict.outcome == outcome)
      #expect(verdict.cause == nil)
    }
  }
}
