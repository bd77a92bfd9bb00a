import Foundation
import Testing

/// The guest's program under a name of the test's own, so that it can be moved away.
private func copiedKernel(_ guest: ExampleGuest, in folder: Folder) throws -> String {
  let kernel = folder.path("my.elf")
  try FileManager.default.copyItem(atPath: guest.path(), toPath: kernel)
  return kernel
}

/// Runs a guest, keeps it, moves its program away and examines what was kept.
private func expectSameVerdict(_ name: String, accelerator: String, _ options: [String] = []) async throws {
  let folder = try Folder()
  let kernel = try copiedKernel(ExampleGuest(name), in: folder)
  let (run, verdict) = (folder.path("run.json"), folder.path("examine.json"))
  let ran = try await inquest(
    ["run", "--format", "json", "--output", run, "--save", folder.path("case")] + options + ["--timeout", "5", "--"]
      + qemu(accelerator: accelerator, ["-kernel", kernel]))
  #expect(ran.standardError.contains("case: \(folder.path("case"))   inquest examine \(folder.path("case"))"), "\(ran)")
  try FileManager.default.removeItem(atPath: kernel)
  let examined = try await inquest(["examine", "--format", "json", "--output", verdict, folder.path("case")])
  #expect(examined.status == (ran.status == 1 ? 0 : ran.status), "\(examined)")
  #expect(examined.standardError == "", "\(examined)")
  #expect(try folder.text(of: "run.json") == folder.text(of: "examine.json"))
  #expect(try folder.text(of: "run.json") == folder.text(of: "case/verdict.json"))
}

extension UnderTCG {
  @Suite("cases")
  struct CaseTests {
    @Test(
      "a case gives the same verdict without the guest's program",
      arguments: ["nx-not-enabled", "stack-overflow", "null-call", "halt-without-interrupts", "two-mib-pages"])
    func sameVerdict(_ name: String) async throws { try await expectSameVerdict(name, accelerator: "tcg") }

    @Test("so does one with the guest's whole memory")
    func fullMemory() async throws {
      try await expectSameVerdict("nx-not-enabled", accelerator: "tcg", ["--full-memory"])
    }

    @Test(
      "a death is kept unless told otherwise, a life is not",
      arguments: [
        ("nx-not-enabled", [String](), 1), ("nx-not-enabled", ["--no-save"], 0), ("two-mib-pages", [], 0),
      ])
    func automatic(_ name: String, _ options: [String], _ count: Int) async throws {
      let folder = try Folder()
      let finished = try await inquest(
        ["run"] + options + ["--"] + ExampleGuest(name).command(), environment: ["XDG_STATE_HOME": folder.path])
      let store = folder.path("inquest")
      let names = (try? FileManager.default.contentsOfDirectory(atPath: store)) ?? []
      #expect(names.count == count, "\(finished)")
      #expect(finished.standardError.contains("inquest examine \(store)/case-") == (count == 1), "\(finished)")
      #expect(!finished.standardOutput.contains("case:"))
    }

    @Test("a folder that is taken is refused before the guest runs")
    func occupied() async throws {
      let folder = try Folder()
      _ = try folder.write([], to: "mine")
      let finished = try await inquest(
        ["run", "--save", folder.path, "--"] + ExampleGuest("nx-not-enabled").command())
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardOutput == "")
      #expect(finished.standardError.contains("something at \(folder.path) already"), "\(finished)")
    }

    @Test("a redacted case names neither the user nor the home folder, and gives its own verdict again")
    func redacted() async throws {
      let folder = try Folder()
      let home = try folder.makeFolder("eve.smith")
      let kernel = "\(home)/my.elf"
      try FileManager.default.copyItem(atPath: ExampleGuest("nx-not-enabled").path(), toPath: kernel)
      let finished = try await inquest(
        ["run", "--save", folder.path("case"), "--redact", "--"] + qemu(["-kernel", kernel])
          + ["-name", "10.11.12.13"], environment: ["HOME": home])
      #expect(finished.status == 3, "\(finished)")
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.path("case")) {
        let bytes = try Data(contentsOf: URL(filePath: folder.path("case/\(name)")))
        #expect(bytes.range(of: Data("eve.smith".utf8)) == nil, "\(name)")
        #expect(bytes.range(of: Data("10.11.12.13".utf8)) == nil, "\(name)")
      }
      let examined = try await inquest(["examine", "--format", "json", folder.path("case")])
      #expect(examined.status == 3, "\(examined)")
      #expect(try examined.standardOutput == folder.text(of: "case/verdict.json"))
    }

    @Test("a case that is there can be written again, redacted")
    func redactedAfterwards() async throws {
      let folder = try Folder()
      let home = try folder.makeFolder("eve.smith")
      let kernel = "\(home)/my.elf"
      try FileManager.default.copyItem(atPath: ExampleGuest("nx-not-enabled").path(), toPath: kernel)
      let (kept, other) = (folder.path("case"), folder.path("other"))
      _ = try await inquest(["run", "--save", kept, "--"] + qemu(["-kernel", kernel]))
      let again = try await inquest(
        ["examine", kept, "--redact", "--save", other], environment: ["HOME": home])
      #expect(again.status == 3 && again.standardError.contains("inquest examine \(other)"), "\(again)")
      for name in try FileManager.default.contentsOfDirectory(atPath: kept) {
        let bytes = try Data(contentsOf: URL(filePath: "\(other)/\(name)"))
        #expect(bytes.range(of: Data("eve.smith".utf8)) == nil, "\(name)")
      }
      #expect(try Data(contentsOf: URL(filePath: "\(kept)/case.json")).range(of: Data("eve.smith".utf8)) != nil)
      let examined = try await inquest(["examine", "--format", "json", other])
      #expect(try examined.standardOutput == folder.text(of: "other/verdict.json"))
      let taken = try await inquest(["examine", kept, "--save", other])
      #expect(taken.status == 1 && taken.standardError.contains("something at \(other) already"), "\(taken)")
      let none = try await inquest(["examine", ExampleGuest("null-call").path(), "--save", folder.path("x")])
      #expect(none.status == 1 && none.standardError.contains("none of the files is one"), "\(none)")
    }

    @Test("another program than the one that ran is told; a case and another are refused")
    func other() async throws {
      let folder = try Folder()
      let saved = try await inquest(
        ["run", "--save", folder.path("case"), "--"] + ExampleGuest("nx-not-enabled").command())
      #expect(saved.status == 3, "\(saved)")
      let other = try await inquest(["examine", folder.path("case"), ExampleGuest("null-call").path()])
      #expect(other.standardError.contains("this is not the nx-not-enabled.elf"), "\(other)")
      let two = try await inquest(["examine", folder.path("case"), folder.path("case")])
      #expect(two.status == 1 && two.standardError.contains("two cases"), "\(two)")
      let walk = try await inquest(["walk", "0x100000", folder.path("case")])
      #expect(walk.standardOutput.contains("PML4E"), "\(walk)")
    }
  }
}

extension UnderKVM {
  @Test("a case gives the same verdict without the guest's program, and its trace is one that tools read")
  func sameCase() async throws {
    try await expectSameVerdict("nx-not-enabled", accelerator: "kvm")
    try await expectSameVerdict("null-call", accelerator: "kvm", ["--no-trace"])
  }
}
