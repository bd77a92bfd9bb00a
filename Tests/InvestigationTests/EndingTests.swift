import KVM
import QEMU
import Testing

@testable import Investigation

@Suite("how a run of QEMU ended, in words")
struct EndingTests {
  @Test(
    "a signal is named, and QEMU's last words are shown",
    arguments: [(6, "SIGABRT"), (7, "SIGBUS"), (9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (40, "signal 40")])
  func signal(_ number: Int, _ name: String) {
    var scene = Scene(ending: .signalled(number))
    scene.lastWords = Sourced("qemu: assertion failed", .log(name: "QEMU's standard error", line: 3))
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .undetermined)
    #expect(verdict.ending.contains(name))
    #expect(verdict.evidence.contains { $0.text.contains("qemu: assertion failed") })
  }

  @Test("a trace that was searched for the triple fault shows a death, unless the guest ran on or has a guest")
  func shutdownExit() {
    let exit = KVMEvent.exit(KVMExit(vendor: .vmx, reasonName: "TRIPLE_FAULT", reason: 2, rip: 0x81DD))
    func outcome(_ events: [KVMEvent]) -> Outcome {
      var scene = Scene()
      scene.trace = events.map { KVMRecord(time: 1, cpu: 0, task: "qemu", threadID: 7, event: $0) }
      return Investigator.verdict(on: scene).outcome
    }
    #expect(outcome([exit]) == .died)
    #expect(outcome([exit, .fpu(isLoaded: false)]) == .died)
    #expect(outcome([exit, .entry(vcpu: 0, rip: 0xFFF0)]) == .undetermined)
    #expect(
      outcome([.nestedExit(KVMExit(vendor: .vmx, reasonName: "CPUID", reason: 10, rip: 1)), exit]) == .undetermined)
  }

  @Test(
    "a line that tells of an end is the ending, also where it may have been wanted or another's",
    arguments: [
      (
        "1@2.3:kvm_run_exit cpu_index 0, reason 2\n1@2.4:kvm_run_exit cpu_index 0, reason 8",
        "A line tells of KVM_EXIT_SHUTDOWN"
      ),
      ("1@2.3:kvm_run_exit cpu_index 0, reason 2", "Nothing here"),
      ("km: KVM_EXIT_FAIL_ENTRY", "A line tells of KVM_EXIT_FAIL_ENTRY"),
      ("[ 1.8] ---[ end Kernel panic - not syncing: VFS: no root ]---", "A Linux kernel panicked"),
      ("Assertion failed: depth <= 1 (core/sched.cc: 238)", "Nothing here"),
      ("qemu-system-x86_64: ../a.c:1: f: Assertion `x' failed.", "QEMU gave up"),
      ("ERROR:../hw/a.c:210:f: assertion failed: (size <= 4)", "QEMU gave up"),
    ])
  func line(_ text: String, _ ending: String) {
    var scene = Scene()
    scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
    #expect(Investigator.verdict(on: scene).ending.hasPrefix(ending))
  }

  @Test("a panic's last line repeats the first, and tells it where that is missing")
  func endOfPanic() {
    func words(_ text: String) -> [String] {
      var scene = Scene()
      scene.log = Sourced.messages(of: QEMULog.parse(text), named: "log")
      return Investigator.verdict(on: scene).observations.map(\.text)
    }
    let first = "[ 1.7] Kernel panic - not syncing: VFS: no root\n"
    let last = "[ 1.8] ---[ end Kernel panic - not syncing: VFS: no root ]---\n"
    for text in [first, last, first + last] {
      #expect(words(text) == ["A Linux kernel panicked: Kernel panic - not syncing: VFS: no root"], "\(text)")
    }
  }

  @Test("Hyper-V's crash registers are shown, and pvpanic has nothing to show")
  func panic() throws {
    var scene = Scene(ending: .panicked)
    #expect(Investigator.verdict(on: scene).cause?.summary.contains("pvpanic device") == true)
    let information = try #require(GuestPanicInformation(Self.hyperVPanic))
    #expect(information == .hyperV([0xEF, 1, 2, 3, UInt64.max]))
    scene.panicInformation = Sourced(information, .qmp("GUEST_PANICKED"))
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.ending.contains("Hyper-V"))
    #expect(verdict.cause?.summary.contains("P0 0xef, P1 0x1, P2 0x2, P3 0x3, P4 0xffffffffffffffff") == true)
  }

  private static let hyperVPanic = JSONValue.object([
    "action": .string("pause"),
    "info": .object([
      "type": .string("hyper-v"), "arg1": .unsigned(0xEF), "arg2": .unsigned(1), "arg3": .unsigned(2),
      "arg4": .unsigned(3),
      "arg5": .unsigned(.max),
    ]),
  ])

  @Test(
    "isa-debug-exit's value is told where there is such a device and the status can be its",
    arguments: [
      (33, ["-device", "isa-debug-exit"], "isa-debug-exit makes of 16"), (1, ["-device", "isa-debug-exit"], "of 0"),
      (33, [], nil), (2, ["-device", "isa-debug-exit"], nil),
    ] as [(Int, [String], String?)])
  func debugExit(_ status: Int, _ options: [String], _ words: String?) {
    var scene = Scene(ending: .exited(status: status))
    scene.commandLine = QEMUCommandLine(program: "qemu-system-x86_64", arguments: options)
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .ended)
    #expect(verdict.ending.contains("status is \(status)"))
    #expect(verdict.ending.contains(words ?? "\(status)."))
  }

  @Test("a QEMU that was sent a signal and exits has not been ended by its guest")
  func terminated() {
    var scene = Scene(ending: .exited(status: 0))
    #expect(Investigator.verdict(on: scene).ending.contains("ended by itself"))
    let text = "qemu-system-x86_64: terminating on signal 15 from pid 42 (timeout)\n"
    scene.log = Sourced.messages(of: QEMULog.parse(text), named: "QEMU's standard error")
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.outcome == .ended)
    #expect(verdict.ending == "QEMU was ended from outside.")
    #expect(verdict.evidence.contains { $0.text.contains("signal 15 from pid 42") })
  }

  @Test(
    "what kept KVM's events from being recorded is told with what grants it, and nobody is sent where he has been",
    arguments: ["sudo sysctl kernel.perf_event_paranoid=-1", nil])
  func missingTrace(_ remedy: String?) throws {
    var scene = Scene(ending: .reset)
    scene.accelerator = Sourced(.kvm, .commandLine)
    scene.processors = [Story.processor()]
    func missing() throws -> Missing {
      try #require(Investigator.verdict(on: scene).missing.first { $0.what.hasPrefix("KVM's own account") })
    }
    #expect(try missing().how.hasPrefix("sudo inquest run"))
    scene.traceLack = RecordingLack(reason: "perf_event_open is forbidden", remedy: remedy)
    #expect(try missing().what.hasSuffix(": perf_event_open is forbidden"))
    #expect(try !missing().how.contains("inquest run"))
    #expect(try missing().how == remedy || missing().how.contains("another"))
  }
}
