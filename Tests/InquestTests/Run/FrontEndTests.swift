import Foundation
import Subprocess
import Testing

extension UnderTCG {
  @Suite("front ends that start QEMU")
  struct FrontEndTests {
    /// A QEMU command line as a script has it.
    private func line(_ command: [String]) -> String { command.joined(separator: " ") }

    private func makefile(_ command: [String], in folder: Folder) throws {
      _ = try folder.write(
        "qemu:\n\t@qemu-system-x86_64 --version > version\n\t@\(line(command))\n".utf8, to: "Makefile")
    }

    @Test("make: the death is explained, with the options given to run, and its status is Inquest's")
    func make() async throws {
      let folder = try Folder()
      try makefile(ExampleGuest("nx-not-enabled").command(), in: folder)
      let (finished, verdict) = try await run(
        ["make", "-C", folder.path, "qemu"], options: ["--save", folder.path("case")])
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict.cause?.id == "paging.reserved-bit")
      #expect(FileManager.default.fileExists(atPath: folder.path("case/case.json")))
      #expect(try folder.text(of: "version").contains("QEMU emulator version"))
    }

    @Test(
      "scripts within scripts, which decide the status of a guest that lives",
      arguments: ["sh -c \"$QEMU; exit 9\"", "(cd / && env LANG=C $QEMU) || exit 9"])
    func scripts(_ script: String) async throws {
      let qemu = try line(ExampleGuest("two-mib-pages").command())
      let finished = try await inquest(["run", "--", "sh", "-c", script.replacing("$QEMU", with: qemu)])
      #expect(finished.status == 9, "\(finished)")
      #expect(finished.standardOutput.contains("OK"))
      #expect(finished.standardOutput.contains("The guest ended by itself"))
    }

    @Test(
      "a front end that starts no QEMU by its name", arguments: ["true", "/usr/bin/env qemu-img --version", "exit 5"])
    func none(_ script: String) async throws {
      let finished = try await inquest(["run", "--", "sh", "-c", script])
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardError.contains("started no QEMU that Inquest met"), "\(finished)")
    }

    @Test("a signal to Inquest ends the front end and the guest", arguments: Interruption.all)
    func signal(_ interruption: Interruption) async throws {
      let folder = try Folder()
      let command = try line(qemu(BootSector.runsForEver.options(in: folder)))
      let finished = try await inquest(["run", "--", "sh", "-c", "sh -c '\(command); true'; true"]) { running in
        try await running.awaitOutput("R")
        try running.send(interruption.signal, toGroup: interruption.toGroup)
      }
      #expect(finished.end != nil, "\(finished)")
    }
  }
}
