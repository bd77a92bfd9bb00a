import ArgumentParser
import Capture
import FoundationEssentials
import GuestImage
import GuestMemory
import Investigation
import QEMU

/// `inquest attach PID`: watches a QEMU that runs already, and says why its guest died if it does.
struct AttachCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach",
    abstract: "Watch a QEMU that runs already; if the guest dies, say why.",
    discussion: """
      inquest attach $(pidof qemu-system-x86_64)

      The guest goes on, and Ctrl-C leaves it alone. With a QMP socket (-qmp unix:PATH,server=on,wait=off) a guest that \
      dies stands still until it has been examined; then QEMU does what it would have done. With a monitor on a socket or a \
      gdbstub (-s) a guest is examined that stands still by itself: start QEMU with -no-reboot -no-shutdown. Without any, KVM's \
      tracepoints alone tell, once QEMU has ended. A guest that is dead already is examined at once, and one that hangs with \
      --stall. What can be taken is said at the start.
      """)

  @Argument(help: ArgumentHelp("QEMU's process.", valueName: "pid"))
  var pid: Int32

  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("The guest's ELF file, for symbols; by default what -kernel names.", valueName: "file"))
  var image: String?

  @Option(
    help: ArgumentHelp("Examine the guest if it makes no progress for this time, and say why.", valueName: "seconds"))
  var stall: Double?

  @OptionGroup var recorder: RecorderOptions

  @OptionGroup var cases: CaseOptions

  @Flag(name: .shortAndLong, help: "Say what is recorded and why, and how it went.")
  var verbose = false

  func validate() throws {
    guard pid > 0 else { throw ValidationError("attach takes the number of a process") }
    if let stall, !(stall > 0 && stall < 1e9) { throw ValidationError("--stall takes a number of seconds") }
  }

  func run() throws {
    try cases.check()
    let guest: AttachedGuest
    do throws(CaptureError) {
      guest = try AttachedGuest(process: pid, options: options)
    } catch {
      throw Failure(error.description)
    }
    let kernel = image ?? guest.commandLine.kernelPath.map(pathAsQEMUSees)
    let image = try GuestImage(of: guest.commandLine.kernelAt(kernel), at: image)
    tell(guest)
    let keeper = CaseKeeper(options: cases, commandLine: guest.commandLine, image: image, imagePath: kernel)
    var status: Int32 = 0
    func examine(_ scene: GuestScene) throws -> Verdict {
      let judgement = Judgement(scene, of: guest.commandLine, image: image)
      let verdict = judgement.verdict
      // A guest that was only suspected goes on.
      guard verdict.outcome != .ended, scene.ending != .stalled || verdict.outcome == .hung else { return verdict }
      RecorderReport(isVerbose: verbose).tell(scene.recording)
      try output.write(verdict)
      keeper.keep(verdict, scene, judgement.scene, judgement.memory)
      status = verdict.exitStatus
      return verdict
    }
    var failure: (any Error)?
    let end = guest.watch(suspect: Examination.suspects) { scene in
      do {
        let outcome = try examine(scene).outcome
        return outcome == .ended || scene.ending == .stalled && outcome != .hung ? .carryOn : .end
      } catch {
        failure = error
        return .end
      }
    }
    if let failure { throw failure }
    switch end {
    case .examined: break
    case .gone(let scene): if try examine(scene).outcome == .ended { standardError.write("inquest: QEMU has ended\n") }
    case .interrupted: standardError.write("inquest: the guest is left running\n")
    }
    throw ExitCode(status)
  }

  private var options: AttachedGuest.Options {
    var run = GuestRun.Options()
    recorder.apply(to: &run)
    var options = AttachedGuest.Options()
    options.recordsKVM = run.recordsKVM
    options.events = run.events
    options.recorderMemoryPerCPU = run.recorderMemoryPerCPU
    options.stallTime = stall.map { .seconds($0) }
    return options
  }

  /// A path of QEMU's command line, which may begin where QEMU does.
  private func pathAsQEMUSees(_ path: String) -> String { path.hasPrefix("/") ? path : "/proc/\(pid)/cwd/\(path)" }

  private func tell(_ guest: AttachedGuest) {
    let means = guest.means
    var lines = means.refusals
    if let door = means.door, let socket = means.socket {
      lines.append("registers, memory and CPUID: over \(door.name) at \(socket)")
      lines += limits(of: means, guest.commandLine)
    } else {
      lines.append(
        "no registers and no memory: this QEMU has no QMP socket, monitor or gdbstub that answers; start it with -qmp "
          + "unix:PATH,server=on,wait=off")
      lines +=
        guest.commandLine.monitorElsewhere.map { place in
          "  its monitor is at \(place), where only its user can ask: what `info registers -a` prints there is for inquest examine -"
        }.map { [$0] } ?? []
    }
    if means.records { lines.append("KVM's tracepoints: recorded from now on") }
    if let refusal = guest.recordingRefusal {
      lines.append("KVM's tracepoints: not recorded: \(refusal.lack)" + (refusal.remedy.map { "; \($0)" } ?? ""))
    }
    lines.append("what QEMU prints, and its exit status: not to be had")
    for line in lines { standardError.write("inquest: \(line)\n") }
  }

  private func limits(of means: AttachedGuest.Means, _ commandLine: QEMUCommandLine) -> [String] {
    if means.door == .qmp {
      return means.holdsBack ? [] : ["a guest that resets is gone before it can be read: QEMU is older than 6.0"]
    }
    let actions = commandLine.lifecycleActions
    let stands = actions.reboot == "shutdown" && actions.shutdown == "pause"
    let limits =
      stands
      ? []
      : ["a guest that resets is gone before it can be read: start QEMU with -no-reboot -no-shutdown, or with -qmp"]
    return limits + (means.door == .gdbstub ? ["no other debugger can connect meanwhile"] : [])
  }
}

extension AttachedGuest.Door {
  fileprivate var name: String {
    switch self {
    case .qmp: "QMP"
    case .monitor: "QEMU's monitor"
    case .gdbstub: "its gdbstub"
    }
  }
}

extension QEMUCommandLine {
  /// The command line with `-kernel` where Inquest finds it.
  fileprivate func kernelAt(_ path: String?) -> QEMUCommandLine {
    path.map { adding(["-kernel", $0]) } ?? self
  }
}
