import ArgumentParser
import Capture
import Foundation
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
      dies stands still until it has been examined; then QEMU does what it would have done. Without one KVM's \
      tracepoints alone tell, once QEMU has ended: start it with -no-reboot. What can be taken is said at the start.
      """)

  @Argument(help: ArgumentHelp("QEMU's process.", valueName: "pid"))
  var pid: Int32

  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("The guest's ELF file, for symbols; by default what -kernel names.", valueName: "file"))
  var image: String?

  @OptionGroup var recorder: RecorderOptions

  @OptionGroup var cases: CaseOptions

  @Flag(name: .shortAndLong, help: "Say what is recorded and why, and how it went.")
  var verbose = false

  func validate() throws {
    guard pid > 0 else { throw ValidationError("attach takes the number of a process") }
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
    tell(guest.means, guest.commandLine, guest.recordingRefusal)
    let keeper = CaseKeeper(options: cases, commandLine: guest.commandLine, image: image, imagePath: kernel)
    var status: Int32 = 0
    func examine(_ scene: GuestScene) throws -> Verdict {
      let judgement = Judgement(scene, of: guest.commandLine, image: image)
      let verdict = judgement.verdict
      guard verdict.outcome != .ended else { return verdict }
      RecorderReport(isVerbose: verbose).tell(scene.recording)
      try output.write(verdict)
      keeper.keep(verdict, scene, judgement.scene, judgement.memory)
      status = verdict.exitStatus
      return verdict
    }
    var failure: (any Error)?
    let end = guest.watch { scene in
      do { return try examine(scene).outcome == .ended ? .carryOn : .end } catch {
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
    return options
  }

  /// A path of QEMU's command line, which may begin where QEMU does.
  private func pathAsQEMUSees(_ path: String) -> String { path.hasPrefix("/") ? path : "/proc/\(pid)/cwd/\(path)" }

  private func tell(_ means: AttachedGuest.Means, _ commandLine: QEMUCommandLine, _ refusal: RecordingRefusal?) {
    var lines: [String] = []
    if let socket = means.socket {
      lines.append("registers, memory and CPUID: over QMP at \(socket)")
      if !means.holdsBack { lines.append("a guest that resets is gone before it can be read: QEMU is older than 6.0") }
    } else {
      lines.append(
        "no registers and no memory: this QEMU has no QMP socket that answers; start it with -qmp "
          + "unix:PATH,server=on,wait=off")
      lines += otherWays(into: commandLine)
    }
    if means.records { lines.append("KVM's tracepoints: recorded from now on") }
    if let refusal {
      lines.append("KVM's tracepoints: not recorded: \(refusal.lack)" + (refusal.remedy.map { "; \($0)" } ?? ""))
    }
    lines.append("what QEMU prints, and its exit status: not to be had")
    for line in lines { standardError.write("inquest: \(line)\n") }
  }

  /// What reads registers and memory of a QEMU without QMP, by hand and as long as it is there.
  private func otherWays(into commandLine: QEMUCommandLine) -> [String] {
    let sockets = commandLine.gdbServers.filter { $0.hasPrefix("tcp:") || $0.hasPrefix("unix:") }
    let stubs = sockets.map { server in
      let address = server.split(separator: ",").first.map(String.init) ?? server
      return "  it has a gdbstub, which stops a guest that runs while it is asked: inquest check --gdb \(address)"
    }
    let monitors = commandLine.humanMonitorServers.map { server in
      "  it has a monitor at \(server): what `info registers -a` prints there is for inquest examine -"
    }
    return stubs + monitors
  }
}

extension QEMUCommandLine {
  /// The command line with `-kernel` where Inquest finds it.
  fileprivate func kernelAt(_ path: String?) -> QEMUCommandLine {
    path.map { adding(["-kernel", $0]) } ?? self
  }
}
