import JSONDocuments
import Testing

extension UnderTCG {
  @Suite("inquest check")
  struct CheckTests {
    /// Runs `inquest check --format json` on a command line.
    private func check(_ command: [String], _ options: [String] = []) async throws -> (FinishedCommand, JSONValue) {
      let folder = try Folder()
      let finished = try await inquest(
        ["check", "--format", "json", "--output", folder.path("check.json")] + options + ["--"] + command)
      return (finished, try JSONValue((try? folder.text(of: "check.json")) ?? "null"))
    }

    private func causes(_ document: JSONValue, _ severity: String? = nil) -> [String] {
      (document["faults"]?.array ?? [])
        .filter { severity == nil || $0["severity"]?.string == severity }
        .compactMap { $0["cause"]?.string }
    }

    @Test("a guest that TCG forgives is told what KVM would not")
    func forgiven() async throws {
      let (finished, document) = try await check(ExampleGuest("one-gib-pages").command(["-cpu", "Haswell"]))
      #expect(finished.status == 3, "\(finished)")
      #expect(finished.standardOutput.contains("OK"))
      #expect(document["looks"]?.array?.first?.string == "paging just turned on", "\(document)")
      let fault = try #require(
        document["faults"]?.array?.first { $0["cause"]?.string == "paging.reserved-bit" }, "\(document)")
      #expect(fault["severity"]?.string == "warning")
      #expect(fault["summary"]?.string?.contains("PDPTE") == true)
      let refusing = fault["refusedBy"]?.array?.compactMap(\.string) ?? []
      #expect(refusing.contains("kvm-6.19") && refusing.contains("kvm-5.13-tdp"), "\(refusing)")
      #expect(fault["acceptedBy"]?.array?.compactMap(\.string).contains("tcg-10.2") == true)
    }

    @Test("2 MiB pages are accepted by all; an empty IDT is fatal once brought on")
    func accepted() async throws {
      let (finished, document) = try await check(ExampleGuest("two-mib-pages").command(["-cpu", "Haswell"]))
      #expect(finished.status == 3, "\(finished)")
      #expect(causes(document, "warning") == [], "\(document)")
      #expect(causes(document, "fatal") == ["interrupt.idt-limit"], "\(document)")
    }

    @Test("a guest that runs on is looked at while it does")
    func looks() async throws {
      // Without isa-debug-exit the guest halts at its end, and QEMU goes on.
      let command = [
        "qemu-system-x86_64", "-accel", "tcg", "-m", "128", "-display", "none", "-serial", "null", "-kernel",
        try ExampleGuest("one-gib-pages").path(), "-cpu", "Haswell",
      ]
      let (finished, document) = try await check(command, ["--after", "1", "--after", "2", "--timeout", "3"])
      #expect(finished.status == 3, "\(finished)")
      #expect(
        document["looks"]?.array?.compactMap(\.string).suffix(3) == ["after 1 s", "after 2 s", "at the end"],
        "\(document)")
      let fault = document["faults"]?.array?.first { $0["cause"]?.string == "paging.reserved-bit" }
      #expect((fault?["moments"]?.array?.count ?? 0) >= 3, "\(document)")
    }

    @Test("a debugger of the user's keeps the gdbstub to itself")
    func ownDebugger() async throws {
      let folder = try Folder()
      let (finished, document) = try await check(
        ExampleGuest("two-mib-pages").command(["-gdb", "unix:\(folder.path("gdb")),server=on,wait=off"]))
      #expect(finished.status == 3, "\(finished)")
      #expect(document["looks"]?.array?.compactMap(\.string).contains("paging just turned on") == false, "\(document)")
    }

    @Test("files without a memory are refused with what to do")
    func withoutMemory() async throws {
      let finished = try await inquest(["check", "-"], standardInput: "EAX=00000000\n".utf8)
      #expect(finished.status == 1, "\(finished)")
    }
  }
}
