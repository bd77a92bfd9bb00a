import Foundation
import Testing

/// A guest that an option of QEMU cures.
struct CurableGuest: Sendable, CustomTestStringConvertible {
  let guest: String
  let model: String
  /// What the trials of the first remedy come to, each with what was changed of the command line.
  let trials: [(changes: [String], result: String)]

  var testDescription: String { "\(guest) \(model)" }

  static let underTCG = [
    Self(guest: "movbe-not-offered", model: "qemu64", trials: [(["-cpu qemu64,+movbe"], "lived")]),
    Self(guest: "avx-not-offered", model: "SandyBridge,-avx", trials: [(["-cpu SandyBridge,+avx"], "lived")]),
    Self(guest: "assumed-memory", model: "qemu64", trials: [(["-m 512"], "lived")]),
    Self(
      guest: "movbe-and-popcnt", model: "qemu64",
      trials: [(["-cpu qemu64,+movbe"], "other-death"), (["-cpu qemu64,+movbe,+popcnt"], "lived")]),
  ]
}

extension UnderTCG {
  @Suite("--verify")
  struct VerifyTests {
    @Test("each option is tried, and what is met on the way is cured too", arguments: CurableGuest.underTCG)
    func cures(_ curable: CurableGuest) async throws {
      let command = try ExampleGuest(curable.guest).command(["-cpu", curable.model, "-no-reboot"])
      let (finished, verdict) = try await run(command, options: ["--verify"])
      #expect(finished.status == 3, "\(finished)")
      // What the trials print is kept.
      #expect(!finished.standardOutput.contains("OK"))
      let index = try #require(verdict.remedies.firstIndex { $0.kind == "command-line" })
      let trials = verdict.trials.filter { $0.remedy == index }
      #expect(trials.map(\.changes) == curable.trials.map(\.changes))
      #expect(trials.map(\.result) == curable.trials.map(\.result), "\(trials)")
      #expect(trials.map(\.step) == Array(trials.indices))
      #expect(verdict.remedies[index].verified == (trials.count == 1))
      #expect(trials.last?.lastOutput == "OK")
      #expect(trials.last?.account.contains("isa-debug-exit makes of 0") == true)
      for trial in trials.dropLast() {
        #expect(trial.cause?.summary.contains("popcnt rax, rax") == true)
        #expect(trial.fault?.vector == 6)
      }
    }

    @Test("the verdict comes first, and the trials follow it")
    func text() async throws {
      let command = try ExampleGuest("movbe-not-offered").command(["-cpu", "qemu64", "-no-reboot"])
      let finished = try await inquest(["run", "--verify", "--"] + command)
      #expect(finished.status == 3, "\(finished)")
      let parts = finished.standardOutput.split(separator: "The cures, tried\n")
      #expect(parts.count == 2, "\(finished)")
      #expect(parts.first?.contains("Evidence") == true)
      #expect(parts.last?.contains("1. -cpu qemu64,+movbe\n     lived, after ") == true, "\(finished)")
      #expect(parts.last?.contains("its output ends in: OK") == true)
    }

    @Test("nothing is tried where there is nothing to try", arguments: [("avx512-not-offered", "Skylake-Server")])
    func hostLacksIt(_ guest: String, _ model: String) async throws {
      let command = try ExampleGuest(guest).command(["-cpu", model, "-no-reboot"])
      let (finished, verdict) = try await run(command, options: ["--verify"])
      #expect(finished.status == 3, "\(finished)")
      #expect(verdict.trials.isEmpty)
      #expect(verdict.remedies.allSatisfy { $0.verified == nil })
    }

    @Test("a guest that lives is run once")
    func lives() async throws {
      let (finished, verdict) = try await run(
        try ExampleGuest("two-mib-pages").command(["-no-reboot"]), options: ["--verify"])
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardOutput.contains("OK"))
      #expect(verdict.outcome == "ended")
      #expect(verdict.trials.isEmpty)
    }

    @Test("disks are not written to: a layer is put over them, and what has none keeps the guest from being run again")
    func disks() async throws {
      let folder = try Folder()
      let script = try folder.write(
        "#!/bin/sh\necho \"$*\" >> \(folder.path("calls"))\nexec qemu-system-x86_64 \"$@\"\n".utf8,
        to: "qemu-system-x86_64")
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
      let disk = try folder.write([UInt8](repeating: 0, count: 1 << 20), to: "disk")
      let command =
        try [script] + ExampleGuest("movbe-not-offered").command(["-cpu", "qemu64", "-no-reboot"]).dropFirst()
      let drive = ["-drive", "file=\(disk),format=raw,if=virtio"]
      let (finished, verdict) = try await run(command + drive, options: ["--verify"])
      #expect(verdict.trials.first?.result == "lived", "\(finished)")
      let calls = try folder.text(of: "calls").split(separator: "\n")
      #expect(calls.count == 1 + verdict.trials.count)
      #expect(calls.first?.contains("-snapshot") == false)
      #expect(calls.dropFirst().allSatisfy { $0.contains("-snapshot") })

      let bare = ["-blockdev", "driver=file,node-name=f,filename=\(disk)"]
      let (_, unverified) = try await run(command + bare, options: ["--verify"])
      #expect(unverified.trials.map(\.result) == ["not-run", "not-run"])
      #expect(unverified.trials.first?.account.contains("-blockdev") == true)
      #expect(unverified.remedies.allSatisfy { $0.verified == nil })
    }

    /// Counts its starts on its own disk before it dies for lack of MOVBE.
    static let countingSector: [UInt8] = [
      0x31, 0xC0, 0x8E, 0xD8, 0x8E, 0xC0,  // xor ax, ax; mov ds, ax; mov es, ax
      0xFE, 0x06, 0xF0, 0x7D,  // inc byte [0x7df0]
      0xB8, 0x01, 0x03, 0xB9, 0x01, 0x00,  // mov ax, 0x301; mov cx, 1
      0xB6, 0x00, 0xBB, 0x00, 0x7C, 0xCD, 0x13,  // mov dh, 0; mov bx, 0x7c00; int 0x13: writes this sector
      0xFA, 0x0F, 0x01, 0x1E, 0xE0, 0x7D,  // cli; lidt [0x7de0], which is zero
      0x0F, 0x38, 0xF0, 0x06, 0x00, 0x7C,  // movbe ax, [0x7c00]
      0xB0, 0x2A, 0xE6, 0xF4, 0xF4,  // mov al, 42; out 0xf4, al; hlt
    ]

    @Test("what a guest writes in a trial is gone: its disk is as the first run left it")
    func writingGuest() async throws {
      let folder = try Folder()
      let code = Self.countingSector
      let disk = try folder.write(code + [UInt8](repeating: 0, count: 510 - code.count) + [0x55, 0xAA], to: "disk")
      let command =
        ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64", "-display", "none", "-no-reboot"]
        + ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive", "file=\(disk),format=raw,if=ide"]
      let (finished, verdict) = try await run(command, options: ["--verify"])
      #expect(verdict.cause?.id == "cpu.missing-feature", "\(finished)")
      #expect(verdict.trials.first?.changes == ["-cpu qemu64,+movbe"])
      #expect(verdict.trials.first?.account.contains("isa-debug-exit makes of 42") == true, "\(verdict.trials)")
      #expect(try Data(contentsOf: URL(filePath: disk))[0x1F0] == 1)
    }
  }
}

extension UnderKVM {
  @Test("--verify: the cure is run with the same recorder")
  func verify() async throws {
    let command = try ExampleGuest("nx-not-offered").command(
      accelerator: "kvm", ["-cpu", "qemu64,-nx", "-no-reboot"])
    let (finished, verdict) = try await run(command, options: ["--verify"])
    #expect(finished.status == 3, "\(finished)")
    #expect(verdict.trials.first?.changes == ["-cpu qemu64,+nx"])
    #expect(verdict.trials.first?.result == "lived", "\(verdict.trials)")
    #expect(verdict.remedies.first?.verified == true)
  }
}
