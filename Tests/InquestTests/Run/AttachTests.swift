import Foundation
import Subprocess
import Testing

/// A QEMU of the user's own that waits, and an Inquest that is attached to it before it begins.
///
/// - Parameter whileAttached: Given the QEMU and the Inquest, once the guest was set going.
private func attach(
  to command: [String],
  whileAttached: @escaping @Sendable (RunningCommand, RunningCommand) async throws -> Void = { _, _ in }
) async throws -> (qemu: FinishedCommand, inquest: FinishedCommand, VerdictDocument?) {
  let folder = try Folder()
  let ours = ["-chardev", "socket,id=q,path=\(folder.path("q")),server=on,wait=off", "-mon", "q,mode=control"]
  let words = command + ours + ["-qmp", "unix:\(folder.path("user")),server=on,wait=off", "-S"]
  let result = Finished()
  let qemu = try await Command(words[0], Array(words.dropFirst())).run { qemu in
    try await qemu.eventually("its sockets are there") { FileManager.default.fileExists(atPath: folder.path("user")) }
    let arguments = ["attach", "\(qemu.processID)", "--format", "json", "-o", folder.path("verdict.json")]
    let finished = try await inquest(arguments, environment: ["XDG_STATE_HOME": folder.path("state")]) { running in
      try await running.awaitErrors("not to be had")
      var monitor = try await UserMonitor(path: folder.path("user"), of: qemu)
      try monitor.send("qmp_capabilities")
      _ = try await monitor.awaitLine("return")
      try monitor.send("cont")
      // QEMU does not read on once its client has gone.
      _ = try await monitor.awaitLine("return")
      try await whileAttached(qemu, running)
    }
    await result.set(finished)
  }
  let finished = try #require(await result.finished)
  let text = (try? folder.text(of: "verdict.json")) ?? ""
  let verdict = text.isEmpty ? nil : try VerdictDocument(text, of: finished, sourceLocation: #_sourceLocation)
  return (qemu, finished, verdict)
}

/// What a command came to that ran while another did.
actor Finished {
  private(set) var finished: FinishedCommand?

  func set(_ finished: FinishedCommand) { self.finished = finished }
}

extension UnderTCG {
  @Suite("inquest attach")
  struct AttachTests {
    @Test("a guest of a QEMU that ran already: its death is explained, and QEMU ends as it would have")
    func dies() async throws {
      let guest = try ExampleGuest("nx-not-enabled").command(["-no-reboot"])
      let (qemu, finished, verdict) = try await attach(to: guest)
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict?.cause?.id == "paging.reserved-bit", "\(finished)")
      #expect(verdict?.fault?.symbol?.hasPrefix("main+0x") == true)
      #expect(finished.standardError.contains("inquest examine "), "\(finished)")
      #expect(qemu.status == 0, "\(qemu)")
    }

    @Test("a guest that resets the machine goes on, and comes to its own end")
    func resets() async throws {
      let folder = try Folder()
      let command = qemu(try BootSector.resetsOnce(by: .keyboardController).options(in: folder))
      let (qemu, finished, verdict) = try await attach(to: command)
      #expect(qemu.standardOutput == "12", "\(qemu)")
      #expect(qemu.status == 1, "\(qemu)")
      #expect(finished.status == 4, "\(finished)")
      #expect(verdict?.outcome == "undetermined", "\(finished)")
    }

    @Test("Ctrl-C leaves the guest alone, and what a reset does as it was")
    func interrupted() async throws {
      let folder = try Folder()
      let command = qemu(try BootSector.runsForEver.options(in: folder) + ["-no-shutdown"])
      let (qemu, finished, _) = try await attach(to: command) { qemu, running in
        try await qemu.awaitOutput("R")
        try running.send(.interrupt)
        try await running.awaitErrors("left running")
        try qemu.send(.terminate)
      }
      #expect(finished.status == 0, "\(finished)")
      #expect(qemu.status == 0, "\(qemu)")
    }

    @Test("without a socket, what cannot be taken is said, and no death is made up")
    func withoutSocket() async throws {
      let folder = try Folder()
      let command = try qemu(BootSector.runsForEver.options(in: folder) + ["-monitor", "vc"])
      _ = try await Command(command[0], Array(command.dropFirst())).run { qemu in
        let finished = try await inquest(["attach", "\(qemu.processID)"]) { running in
          try await running.awaitErrors("not to be had")
          let errors = try running.errors()
          #expect(errors.contains("no registers and no memory"))
          #expect(errors.contains("its monitor is at vc, where only its user can ask"))
          try qemu.send(.terminate)
        }
        #expect(finished.status == 4, "\(finished)")
        #expect(finished.standardOutput.contains("Nothing here shows how the guest ended"), "\(finished)")
      }
    }

    @Test("what is no process, or no QEMU of this user's", arguments: ["4194305", "0", "x"])
    func nobody(_ process: String) async throws {
      let finished = try await inquest(["attach", process])
      #expect(finished.status == (process == "4194305" ? 1 : 2), "\(finished)")
    }
  }
}

extension UnderKVM {
  @Test("inquest attach, and a front end that starts QEMU by its path: the trace and QMP tell")
  func attached() async throws {
    let folder = try Folder()
    let guest = try ExampleGuest("nx-not-enabled").command(
      accelerator: "kvm", ["-cpu", "qemu64,check=off", "-no-reboot"])
    let path = FrontEndQEMU.path(of: guest[0])
    let line = ([path] + guest.dropFirst() + ["-qmp", "unix:\(folder.path("q")),server=on,wait=off"]).joined(
      separator: " ")
    let (finished, verdict) = try await run(["sh", "-c", "\(line); true"])
    #expect(finished.status == 3, "\(finished)")
    #expect(verdict.cause?.id == "paging.reserved-bit", "\(finished)")
    #expect(finished.standardError.contains("was started by its path"), "\(finished)")
  }
}

/// Where QEMU is.
private enum FrontEndQEMU {
  static func path(of program: String) -> String {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
    return folders.map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) } ?? program
  }
}
