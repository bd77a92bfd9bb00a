import Foundation
import Subprocess
import Testing

/// A way to a QEMU that has no QMP socket for Inquest.
enum OtherDoor: CaseIterable, CustomTestStringConvertible {
  case monitor
  case gdbstub
  case both

  /// QEMU's options for it.
  func options(in folder: Folder) -> [String] {
    let monitor = ["-monitor", "unix:\(folder.path("m")),server=on,wait=off"]
    let stub = ["-gdb", "unix:\(folder.path("g")),server=on,wait=off"]
    switch self {
    case .monitor: return monitor
    case .gdbstub: return ["-monitor", "none"] + stub
    case .both: return monitor + stub
    }
  }

  /// What Inquest calls the way that it goes.
  var name: String { self == .gdbstub ? "its gdbstub" : "QEMU's monitor" }

  /// How evidence names it.
  var source: String { self == .gdbstub ? "gdbstub" : "monitor" }

  var testDescription: String { "\(self)" }
}

/// A user's own QMP socket of a QEMU, to which Inquest therefore comes too late.
private actor UserView {
  /// Nil while it is waited for.
  private var monitor: UserMonitor?

  init(path: String, of qemu: RunningCommand) async throws {
    var monitor = try await UserMonitor(path: path, of: qemu)
    try monitor.send("qmp_capabilities")
    _ = try await monitor.awaitLine("return")
    self.monitor = .some(consume monitor)
  }

  /// Has QEMU execute a command, and waits for `event` if one is named, else for the answer, which is given.
  func execute(_ command: String, awaiting event: String = "\"return\"") async throws -> String {
    guard var monitor = monitor.take() else { throw UserMonitor.Failure.closed }
    try monitor.send(command)
    let line = try await monitor.awaitLine(event)
    self.monitor = .some(consume monitor)
    return line
  }

  /// Waits until QEMU gives this name to what the guest does.
  func awaitState(_ state: String, within time: Duration) async throws {
    let deadline = ContinuousClock.now + time
    while try await !execute("query-status").contains("\"\(state)\""), .now < deadline {
      try await Task.sleep(for: .milliseconds(20))
    }
    let found = try await execute("query-status")
    #expect(found.contains("\"\(state)\""), "\(found)")
  }
}

/// Attaches to a user's QEMU by one of those ways.
///
/// - Parameters:
///   - first: What the guest must have come to before; nil attaches at once.
///   - state: What the guest must be found to do afterwards.
private func attachElsewhere(
  by door: OtherDoor, to command: [String], options: [String] = [], first: String? = nil, state: String,
  whileAttached: @escaping @Sendable (UserView, RunningCommand) async throws -> Void = { _, _ in }
) async throws -> FinishedCommand {
  let folder = try Folder()
  let view = ["-qmp", "unix:\(folder.path("v")),server=on,wait=off"]
  let words = command + door.options(in: folder) + view
  let result = Finished()
  _ = try await Command(words[0], Array(words.dropFirst())).run { qemu in
    let user = try await UserView(path: folder.path("v"), of: qemu)
    if let first { try await user.awaitState(first, within: .seconds(60)) }
    let environment = ["XDG_STATE_HOME": folder.path("state")]
    let finished = try await inquest(["attach", "\(qemu.processID)"] + options, environment: environment) { running in
      try await running.awaitErrors("not to be had")
      try await whileAttached(user, running)
    }
    await result.set(finished)
    // A gdbstub answers before it lets the guest go.
    try await user.awaitState(state, within: .seconds(2))
    try qemu.send(.kill)
  }
  return try #require(await result.finished)
}

/// A guest that spins is judged, and spins on.
private func judgeHang(by door: OtherDoor, under accelerator: String) async throws {
  let guest = try ExampleGuest("spin-for-ever").command(accelerator: accelerator, ["-cpu", "qemu64"])
  let finished = try await attachElsewhere(
    by: door, to: guest, options: ["--stall", "0.5"], state: "running")
  #expect(finished.status == 3, "\(finished)")
  #expect(finished.standardOutput.contains("hang.spin"), "\(finished)")
  #expect(finished.standardOutput.contains("[\(door.source): info registers]"), "\(finished)")
  #expect(finished.standardError.contains("QMP at unix:"), "\(finished)")
  #expect(finished.standardError.contains("serves one client at a time"), "\(finished)")
  #expect(finished.standardError.contains("over \(door.name) at unix:"), "\(finished)")
}

/// A guest that QEMU keeps at its death is explained.
///
/// - Parameter more: More of QEMU's options; the guest is started after them if there are any.
private func explainDeath(
  by door: OtherDoor, under accelerator: String, _ more: [String], confidence: String = "likely"
) async throws {
  let guest = try ExampleGuest("nx-not-enabled").command(
    accelerator: accelerator, ["-no-reboot", "-no-shutdown"] + more)
  let finished = try await attachElsewhere(
    by: door, to: guest, first: more.isEmpty ? "shutdown" : nil, state: "shutdown",
    whileAttached: { user, _ in if !more.isEmpty { _ = try await user.execute("cont") } })
  #expect(finished.status == 3, "\(finished)")
  #expect(finished.standardOutput.contains("paging.reserved-bit"), "\(finished)")
  #expect(finished.standardOutput.contains("[\(confidence)]"), "\(finished)")
  #expect(finished.standardOutput.contains("main+0x"), "\(finished)")
}

extension UnderTCG {
  @Suite("inquest attach where QMP is absent or taken")
  struct AttachByMonitorTests {
    @Test("a guest that hangs is judged, and goes on", arguments: OtherDoor.allCases)
    func hangs(_ door: OtherDoor) async throws { try await judgeHang(by: door, under: "tcg") }

    @Test(
      "a death that was kept is explained, whether it was there already or comes", arguments: OtherDoor.allCases,
      [[], ["-S"]])
    func dies(_ door: OtherDoor, _ more: [String]) async throws {
      try await explainDeath(by: door, under: "tcg", more)
    }

    @Test("a guest that turned itself off has not died", arguments: OtherDoor.allCases)
    func turnsOff(_ door: OtherDoor) async throws {
      let folder = try Folder()
      let command = qemu(try BootSector.turnsOff.options(in: folder) + ["-no-shutdown"])
      let finished = try await attachElsewhere(
        by: door, to: command, state: "shutdown",
        whileAttached: { _, running in
          try await Task.sleep(for: .seconds(2))
          try running.send(.interrupt)
        })
      #expect(!finished.standardOutput.contains("died of a triple fault"), "\(finished)")
      #expect(finished.status != 3, "\(finished)")
    }

    @Test(
      "Ctrl-C leaves a guest that runs running, and one that its user stopped stopped", arguments: OtherDoor.allCases)
    func interrupted(_ door: OtherDoor) async throws {
      for isStopped in [false, true] {
        let folder = try Folder()
        let finished = try await attachElsewhere(
          by: door, to: qemu(try BootSector.runsForEver.options(in: folder)),
          state: isStopped ? "paused" : "running",
          whileAttached: { user, running in
            if isStopped { _ = try await user.execute("stop", awaiting: "STOP") }
            try await Task.sleep(for: .seconds(1))
            try running.send(.interrupt)
          })
        #expect(finished.status == 0, "\(finished)")
        #expect(finished.standardError.contains("left running"), "\(finished)")
      }
    }

    @Test("a monitor that serves somebody else, and a socket of another QEMU, are said to")
    func unusable() async throws {
      // QEMU locks its disk.
      let (folder, otherFolder) = (try Folder(), try Folder())
      let server = ["-monitor", "unix:\(folder.path("m")),server=on,wait=off"]
      let command = qemu(try BootSector.runsForEver.options(in: folder) + server)
      let other = qemu(try BootSector.runsForEver.options(in: otherFolder))
      _ = try await Command(command[0], Array(command.dropFirst())).run { first in
        let user = try await UserMonitor(path: folder.path("m"), of: first)
        let finished = try await inquest(["attach", "\(first.processID)"]) { running in
          try await running.awaitErrors("not to be had")
          try running.send(.interrupt)
        }
        #expect(finished.standardError.contains("a monitor's socket serves one client at a time"), "\(finished)")
        _ = consume user
        // The same path, taken by a QEMU that came later.
        try FileManager.default.moveItem(atPath: folder.path("m"), toPath: folder.path("n"))
        let words = other + server
        _ = try await Command(words[0], Array(words.dropFirst())).run { second in
          try await second.awaitOutput("R")
          let finished = try await inquest(["attach", "\(first.processID)"]) { running in
            try await running.awaitErrors("not to be had")
            try running.send(.interrupt)
          }
          #expect(finished.standardError.contains("another QEMU answers at"), "\(finished)")
          try second.send(.kill)
        }
        try first.send(.kill)
      }
    }
  }
}

extension UnderKVM {
  @Suite("inquest attach where QMP is absent or taken, under KVM")
  struct AttachByMonitorTests {
    @Test("a guest that hangs is judged, and goes on", arguments: [OtherDoor.monitor, .gdbstub])
    func hangs(_ door: OtherDoor) async throws { try await judgeHang(by: door, under: "kvm") }

    // Only what Inquest came in time for is in its trace.
    @Test(
      "a death that was kept is explained, whether it was there already or comes",
      arguments: [([], "likely"), (["-S"], "proven")])
    func dies(_ more: [String], _ confidence: String) async throws {
      try await explainDeath(by: .monitor, under: "kvm", more, confidence: confidence)
    }
  }
}
