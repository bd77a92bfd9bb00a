import Foundation
import SeededRandom
import Subprocess
import Testing

/// One run of Inquest that is ended from outside at some moment.
private struct Round: CustomStringConvertible {
  let arguments: [String]
  let signal: Signal
  let delay: Duration

  var description: String { "\(signal) after \(delay) to inquest \(arguments.joined(separator: " "))" }

  /// - Parameter folder: For what the guest needs.
  init(using generator: inout SeededGenerator, canUseKVM: Bool, canRecord: Bool, in folder: Folder) throws {
    let accelerator = canUseKVM && Bool.random(using: &generator) ? "kvm" : "tcg"
    let dying = try ExampleGuest("nx-not-enabled").command(accelerator: accelerator)
    let living = try qemu(accelerator: accelerator, BootSector.runsForEver.options(in: folder))
    var kinds = [
      ["run", "--"] + dying,
      ["run", "--save", folder.path("case-\(UUID().uuidString)"), "--full-memory", "--"] + dying,
      ["run", "--timeout", "1", "--"] + living, ["check", "--after", "0.3", "--"] + living,
    ]
    if canRecord { kinds.append(["record", "-o", folder.path("trace.dat"), "-e", "kvm:kvm_exit", "--"] + living) }
    arguments = kinds[Int.random(in: 0..<kinds.count, using: &generator)]
    signal = [Signal.interrupt, .terminate, .kill].randomElement(using: &generator) ?? .kill
    // Most of what Inquest does, it does at the start and after the death.
    delay = .milliseconds(Int.random(in: 0..<(Bool.random(using: &generator) ? 300 : 2000), using: &generator))
  }
}

extension UnderTCG {
  /// INQUEST_KILL_ROUNDS is how often, INQUEST_KILL_SEED what decides the moments; `make kill-test` does it 500 times.
  @Suite("nothing is left behind by an Inquest that is killed at a random moment")
  struct KillTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let rounds = environment["INQUEST_KILL_ROUNDS"].flatMap { Int($0) } ?? 6
    private static let seed = environment["INQUEST_KILL_SEED"].flatMap { UInt64($0) } ?? 1

    /// What of tracefs a run could change; empty where it cannot be read.
    private var tracing: [String] {
      let root = "/sys/kernel/tracing"
      let instances = (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/instances")) ?? []
      let texts = ["events/kvm/enable", "dynamic_events", "tracing_on", "set_event_pid"].map {
        (try? String(contentsOfFile: "\(root)/\($0)", encoding: .utf8)) ?? ""
      }
      return instances.sorted() + texts
    }

    /// Processes and files in temporary folders are looked for after each command.
    @Test("no process, no socket, no file, no change of tracefs")
    func kill() async throws {
      var generator = SeededGenerator(seed: Self.seed)
      let state = try Folder()
      let folder = try Folder()
      let before = tracing
      let canUseKVM = await HostKVM.isUsable
      var canRecord = canUseKVM
      if canRecord { canRecord = try await HostKVM.recordsTracepoints }
      var felt = 0
      for number in 0..<Self.rounds {
        let round = try Round(using: &generator, canUseKVM: canUseKVM, canRecord: canRecord, in: folder)
        let finished = try await inquest(round.arguments, environment: ["XDG_STATE_HOME": state.path]) { running in
          try await Task.sleep(for: round.delay)
          try? running.send(round.signal)
        }
        #expect(finished.end != nil, "round \(number): \(round)")
        if finished.end == .signaled(round.signal.rawValue) { felt += 1 }
        #expect(tracing == before, "round \(number): \(round)")
      }
      print("InquestTests: killed \(Self.rounds) times, \(felt) of them on the spot; seed \(Self.seed)")
      try await expectWholeCases(in: state)
      try await expectNothingUnfinished(in: folder)
    }

    /// What SIGKILL left unfinished goes with the next case that is kept, and what is there is whole.
    private func expectWholeCases(in state: Folder) async throws {
      let last = try await inquest(
        ["run", "--"] + ExampleGuest("nx-not-enabled").command(), environment: ["XDG_STATE_HOME": state.path])
      #expect(last.status == 3, "\(last)")
      let store = state.path("inquest")
      for name in try FileManager.default.contentsOfDirectory(atPath: store) {
        #expect(name.hasPrefix("case-"))
        let examined = try await inquest(["examine", "\(store)/\(name)"])
        #expect(examined.status == 3 || examined.status == 4, "\(examined)")
      }
    }

    private func expectNothingUnfinished(in folder: Folder) async throws {
      let place = folder.path("case-last")
      let last = try await inquest(["run", "--save", place, "--"] + ExampleGuest("nx-not-enabled").command())
      #expect(last.status == 3, "\(last)")
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      #expect(names.allSatisfy { $0.hasPrefix("case-") || $0 == "disk" || $0 == "trace.dat" }, "\(names)")
    }
  }
}
