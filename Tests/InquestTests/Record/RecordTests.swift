import Foundation
import Subprocess
import Testing

/// Of each line of a report what both tools show alike: thread, CPU, time, and the event's name.
private func heads(of report: String) -> [String] {
  report.split(separator: "\n").filter { !$0.hasPrefix("cpus=") && !$0.hasPrefix("#") }.map { line in
    String(
      line.prefix(through: line.firstRange(of: /[0-9]: +[a-z_0-9]+:/)?.upperBound ?? line.index(before: line.endIndex))
    )
    .split(separator: " ").joined(separator: " ")
  }
}

/// Reads a recording with trace-cmd and with Inquest, and gives the lines that both must show.
private func readByBoth(_ path: String) async throws -> [String] {
  let theirs = try await Command("trace-cmd", ["report", path]).run()
  let ours = try await inquest(["report", path])
  #expect(ours.status == 0 && theirs.status == 0, "\(ours.standardError) \(theirs.standardError)")
  let lines = heads(of: ours.standardOutput)
  #expect(lines == heads(of: theirs.standardOutput))
  return lines
}

extension UnderKVM {
  @Suite("inquest record", .enabled("tracepoints may not be recorded here") { try await HostKVM.recordsTracepoints })
  struct RecordTests {
    private let guest = ["-cpu", "Haswell,check=off"]

    @Test("a command: trace-cmd reads what was recorded, line for line", arguments: [[], ["--flight", "-b", "64"]])
    func command(_ options: [String]) async throws {
      let folder = try Folder()
      let file = folder.path("trace.dat")
      let finished = try await inquest(
        ["record", "-o", file, "-e", "kvm:kvm_pio", "-e", "kvm_userspace_exit if reason!=2"] + options + ["--"]
          + ExampleGuest("two-mib-pages").command(accelerator: "kvm", guest))
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardError.contains(/trace.dat: [1-9][0-9]* events of 2 kinds in [0-9.]+ s/), "\(finished)")
      let lines = try await readByBoth(file)
      #expect(lines.contains { $0.hasSuffix("kvm_pio:") })
    }

    @Test("a process that runs already, until Ctrl-C; the file is whole")
    func process() async throws {
      let folder = try Folder()
      let file = folder.path("trace.dat")
      let command = try qemu(accelerator: "kvm", BootSector.runsForEver.options(in: folder))
      let guest = try await Command(command[0], Array(command.dropFirst())).run { guest in
        let finished = try await inquest(
          ["record", "-o", file, "-e", "kvm:*", "--pid", "\(guest.processID)"]
        ) { recording in
          try await Task.sleep(for: .milliseconds(500))
          try recording.send(.interrupt)
        }
        #expect(finished.status == 0, "\(finished)")
        try guest.send(.terminate)
      }
      #expect(guest.status == 0, "\(guest)")
      _ = try await readByBoth(file)
    }

    @Test("everybody, with names and an exit status")
    func everybody() async throws {
      let folder = try Folder()
      let finished = try await inquest(
        ["record", "-o", folder.path("trace.dat"), "-e", "sched:sched_process_exit", "--", "sh", "-c", "true; exit 7"])
      #expect(finished.status == 7, "\(finished)")
      let lines = try await readByBoth(folder.path("trace.dat"))
      #expect(lines.contains { $0.hasPrefix("sh-") && $0.hasSuffix("sched_process_exit:") }, "\(lines)")
    }

    @Test(
      "what cannot be recorded is said, with no file made",
      arguments: [
        (["-e", "no_such_event", "-a"], "none of these tracepoints"),
        (["-e", "kvm_pio if no_such_field==1", "-a"], "refuses a filter"),
        (["-e", "kvm_pio", "--", "/no/such/program"], "/no/such/program"),
        (["-e", "kvm_pio", "--pid", "4194305"], "No such process"),
      ])
    func refusal(_ arguments: [String], _ words: String) async throws {
      let folder = try Folder()
      let finished = try await inquest(["record", "-o", folder.path("trace.dat")] + arguments)
      #expect(finished.status == 1, "\(finished)")
      #expect(finished.standardError.contains(words), "\(finished)")
      #expect(!FileManager.default.fileExists(atPath: folder.path("trace.dat")))
    }

    @Test("events lists what there is, each with its meaning")
    func events() async throws {
      let listed = try await inquest(["events"])
      #expect(listed.status == 0, "\(listed)")
      for line in listed.standardOutput.split(separator: "\n") {
        #expect(line.wholeMatch(of: /kvm(mmu)?:[a-z_0-9]+ {2,}[^ ].*/) != nil, "\(line)")
      }
      let one = try await inquest(["events", "--format", "json", "kvm_pio"])
      #expect(one.standardOutput.contains(#""isHere" : true"#) && one.standardOutput.contains(#""port""#), "\(one)")
    }
  }
}

@Suite("inquest events and record, anywhere")
struct RecordingAnywhereTests {
  @Test("without tracefs the known events are listed, and what is missing is said")
  func withoutTracefs() async throws {
    // Nobody may see tracefs.
    let finished = try await Command("unshare", ["-Urm", InquestCommand.path(), "events", "kvm_exit"]).run()
    guard finished.standardError.isEmpty || finished.standardError.contains("inquest:") else { return }
    #expect(finished.status == 0, "\(finished)")
    #expect(finished.standardOutput.contains("kvm:kvm_exit  the guest left to KVM"), "\(finished)")
  }

  @Test("an event that nobody knows")
  func unknown() async throws {
    let finished = try await inquest(["events", "no_such_event"])
    #expect(finished.status == 1, "\(finished)")
    #expect(finished.standardError.contains("no tracepoint matches no_such_event"))
  }

  @Test("usage", arguments: [[], ["-a", "--pid", "1"], ["-a", "-b", "1"], ["-a", "--", "true"]])
  func usage(_ arguments: [String]) async throws {
    #expect(try await inquest(["record"] + arguments).status == 2)
  }
}
