import Testing

/// A guest with a mistake that TCG, too, punishes.
struct PlantedMistake: Sendable, CustomTestStringConvertible {
  let guest: ExampleGuest
  /// The entry with the mistake, and the reserved bits in it.
  let table: String
  let bits: String
  /// What names the rule.
  let rule: [String]
  /// TCG's, which leaves out P where a reserved bit is the reason (QEMU 7.2).
  let errorCode: String
  /// CR2; nil where it is RIP.
  let address: String?

  var testDescription: String { guest.name }

  static let all = [
    PlantedMistake(
      guest: ExampleGuest("nx-not-enabled"), table: "PDE", bits: "0x8000000000000000",
      rule: ["bit 63", "EFER.NXE"], errorCode: "0xa", address: "0x400000"),
    PlantedMistake(
      guest: ExampleGuest("address-above-maxphyaddr"), table: "PDE", bits: "0x8000000000000",
      rule: ["bit 51", "CPUID 80000008H:EAX[7:0]"], errorCode: "0x8", address: nil),
    PlantedMistake(
      guest: ExampleGuest("large-page-misaligned"), table: "PDE", bits: "0x2000",
      rule: ["bit 13", "2 MiB page", "multiple of its size"], errorCode: "0xa", address: "0x400000"),
    PlantedMistake(
      guest: ExampleGuest("pml4-page-size"), table: "PML4E", bits: "0x80",
      rule: ["bit 7 (PS)", "must be zero"], errorCode: "0x8", address: nil),
  ]
}

extension UnderTCG {
  @Suite("guests with a mistake")
  struct PlantedMistakeTests {
    @Test("the mistake is named", arguments: PlantedMistake.all)
    func dies(_ mistake: PlantedMistake) async throws {
      let (finished, verdict) = try await run(try mistake.guest.command())
      #expect(finished.status == 3, "\(finished)")
      #expect(finished.standardOutput.isEmpty)
      let cause = try #require(verdict.cause, "\(finished)")
      #expect(cause.id == "paging.reserved-bit")
      // TCG's own record of the triple fault and CR2 are what the reenactment predicts.
      #expect(cause.confidence == "proven")
      for words in mistake.rule { #expect(cause.summary.contains(words), "\(cause.summary)") }
      let entry = verdict.walk?.levels.last
      #expect(entry?.table == mistake.table)
      #expect(entry?.offendingBits == mistake.bits)
      #expect(entry.map { cause.summary.contains("\($0.table) \($0.value)") } == true)
      #expect(entry?.entryAddress.map(cause.summary.contains) == true)
      expectPlace(verdict, of: mistake)
      #expect(verdict.remedies.contains { $0.kind == "guest" })
    }

    private func expectPlace(_ verdict: VerdictDocument, of mistake: PlantedMistake) {
      let fault = verdict.fault
      #expect(fault?.vector == 14)
      #expect(fault?.errorCode == mistake.errorCode)
      #expect(fault?.address == mistake.address ?? fault?.instructionPointer)
      #expect(verdict.walk?.address == fault?.address)
      #expect(fault?.instruction != nil)
      #expect(fault?.symbol?.hasPrefix("main+0x") == true)
      #expect(fault?.source?.contains(/\.(swift|h):[0-9]+/) == true)
    }

    @Test("the cured twin lives, and nothing is said against it", arguments: PlantedMistake.all)
    func lives(_ mistake: PlantedMistake) async throws {
      let (finished, verdict) = try await run(try mistake.guest.cured.command())
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardOutput.contains("OK"))
      #expect(verdict.outcome == "ended")
      #expect(verdict.cause == nil)
      #expect(verdict.warnings.isEmpty, "\(verdict.warnings)")
    }

    @Test("the verdict as text fits 80 columns and follows the guest's output")
    func text() async throws {
      let finished = try await inquest(["run", "--"] + ExampleGuest("nx-not-enabled").command())
      #expect(finished.status == 3, "\(finished)")
      #expect(finished.standardOutput.contains("EFER.NXE"))
      for line in finished.standardOutput.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }
  }

  /// TCG forgives 1 GiB pages that the processor does not have.
  @Suite("1 GiB pages")
  struct OneGiBPagesTests {
    @Test("the guest lives, and is warned of what would kill it elsewhere")
    func warning() async throws {
      let (finished, verdict) = try await run(try ExampleGuest("one-gib-pages").command(["-cpu", "Haswell"]))
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardOutput.contains("OK"))
      #expect(verdict.outcome == "ended")
      #expect(verdict.cause == nil)
      let warning = try #require(verdict.warnings.first, "\(finished)")
      #expect(verdict.warnings.count == 1)
      #expect(warning.cause.id == "paging.reserved-bit")
      #expect(warning.cause.summary.contains("bit 7, PS"))
      #expect(warning.cause.summary.contains("80000001H:EDX[26]"))
      #expect(warning.cause.summary.contains("-cpu Haswell"))
      #expect(warning.condition.contains("shadow paging"))
      #expect(warning.condition.contains("5.14"))
      #expect(warning.walk?.levels.last?.table == "PDPTE")
      #expect(warning.walk?.levels.last?.offendingBits == "0x80")
      #expect(warning.remedies.contains { $0.change.contains("pdpe1gb") })
      #expect(warning.remedies.contains { $0.kind == "guest" && $0.change.contains("80000001H:EDX[26]") })
    }

    static let harmless: [(ExampleGuest, [String])] = [
      (ExampleGuest("one-gib-pages"), ["-cpu", "Haswell,+pdpe1gb"]),
      (ExampleGuest("one-gib-pages"), ["-cpu", "Skylake-Server"]),
      (ExampleGuest("one-gib-pages-if-offered"), ["-cpu", "Haswell"]),
      (ExampleGuest("one-gib-pages-if-offered"), ["-cpu", "Haswell,+pdpe1gb"]),
      (ExampleGuest("two-mib-pages"), ["-cpu", "Haswell"]),
      (ExampleGuest("two-mib-pages"), []),
    ]

    @Test("nothing is said against a guest that does right", arguments: harmless)
    func noWarning(_ guest: ExampleGuest, _ options: [String]) async throws {
      let (finished, verdict) = try await run(try guest.command(options))
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardOutput.contains("OK"))
      #expect(verdict.outcome == "ended")
      #expect(verdict.cause == nil)
      #expect(verdict.warnings.isEmpty, "\(verdict.warnings)")
    }
  }
}
