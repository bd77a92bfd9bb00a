import ArgumentParser
import Capture
import Foundation
import GuestImage
import Investigation
import QEMU
import Reports
import SystemPackage
import X86

/// `inquest run`: runs QEMU, and says why the guest died if it does.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run QEMU; if the guest dies, say why.",
    discussion: """
      inquest run -- qemu-system-x86_64 -accel kvm -cpu Haswell -m 128 -kernel my.elf

      The guest runs as it would without inquest: its console is your terminal, and your options keep their meaning. \
      Under KVM its tracepoints are recorded if you may; under TCG nothing needs any privilege.
      """)

  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("The guest's ELF file, for symbols; by default what -kernel names.", valueName: "file"))
  var image: String?

  @Option(help: ArgumentHelp("Stop the guest after this time.", valueName: "seconds"))
  var timeout: Double?

  @OptionGroup var recorder: RecorderOptions

  @Flag(name: .shortAndLong, help: "Say what is recorded and why, and how it went.")
  var verbose = false

  @Argument(
    parsing: .postTerminator, help: ArgumentHelp("The QEMU command line, after --.", valueName: "qemu-system-x86_64 …"))
  var command: [String] = []

  func validate() throws {
    guard !command.isEmpty else {
      throw ValidationError("no QEMU command line: inquest run -- qemu-system-x86_64 …")
    }
    if let timeout, !(timeout > 0 && timeout < 1e9) { throw ValidationError("--timeout takes a number of seconds") }
  }

  func run() throws {
    let commandLine = QEMUCommandLine(program: command[0], arguments: Array(command.dropFirst()))
    let image = try GuestImage(of: commandLine, at: image)
    var options = GuestRun.Options()
    options.timeLimit = timeout.map { .seconds($0) }
    recorder.apply(to: &options)
    options.loggedAddresses = image.map(\.addressesAfterPagingChanges) ?? []
    let examination = Examination(commandLine: commandLine, image: image, show: show)
    let outcome: GuestOutcome
    do {
      outcome = try GuestRun(commandLine, options: options).run { examination.examine($0) }
    } catch {
      throw Failure(error.description)
    }
    try conclude(outcome, examination)
  }

  private func conclude(_ outcome: GuestOutcome, _ examination: Examination) throws {
    if case .refusedToStart(let end) = outcome.ending { throw Failure(refusal(end, outcome)) }
    let verdict = try examination.conclude(outcome.scene)
    throw ExitCode(status(verdict, outcome.processEnd))
  }

  private func show(_ verdict: Verdict, _ scene: GuestScene) throws {
    RecorderReport(isVerbose: verbose).tell(scene.recording)
    try output.write(verdict)
    guard verbose else { return }
    let time = (ContinuousClock.now - scene.moment) / Duration.milliseconds(1)
    standardError.write("inquest: verdict \(Int(time.rounded())) ms after the end\n")
  }

  private func refusal(_ end: ProcessEnd, _ outcome: GuestOutcome) -> String {
    let last = outcome.scene.lastLine.map { ": \($0.text)" } ?? ""
    return switch end {
    case .exited(let status): "\(command[0]) did not start the guest (status \(status))\(last)"
    case .signalled(let signal): "\(command[0]) did not start the guest (signal \(signal))\(last)"
    }
  }

  private func status(_ verdict: Verdict, _ end: ProcessEnd) -> Int32 {
    guard verdict.outcome == .ended else { return verdict.exitStatus }
    switch end {
    case .exited(let status): return status
    case .signalled(let signal): return 128 + signal
    }
  }
}

/// Judges a guest each time it stands still.
private final class Examination {
  let commandLine: QEMUCommandLine
  let image: GuestImage?
  private let show: (Verdict, GuestScene) throws -> Void
  /// The last examination of a guest that stood still.
  private var last: (ending: GuestEnding, verdict: Verdict)?
  /// Whether the verdict has been shown, or why it could not be; nil as long as it was not.
  private var shown: Result<Void, any Error>?

  /// - Parameter show: Shows a verdict that is final.
  init(
    commandLine: QEMUCommandLine, image: GuestImage?, show: @escaping (Verdict, GuestScene) throws -> Void
  ) {
    self.commandLine = commandLine
    self.image = image
    self.show = show
  }

  func judge(_ scene: GuestScene) -> Verdict {
    Investigator.verdict(on: Scene(scene, of: commandLine, image: image))
  }

  /// A dead guest is ended, for it would only begin again, and the verdict is shown before QEMU takes its time to go; one
  /// that reset or turned off the machine goes its way.
  func examine(_ scene: GuestScene) -> Resumption {
    let verdict = judge(scene)
    last = (scene.ending, verdict)
    guard verdict.outcome != .ended else { return .carryOn }
    shown = Result { try show(verdict, scene) }
    return .end
  }

  /// The verdict on a run that is over, shown if it was not yet: the one from when the guest stood still, while its
  /// registers could be read, unless it went on after that and came to another end.
  func conclude(_ scene: GuestScene) throws -> Verdict {
    let verdict = last.flatMap { $0.ending == scene.ending ? $0.verdict : nil } ?? judge(scene)
    try (shown ?? Result { try show(verdict, scene) }).get()
    return verdict
  }
}
