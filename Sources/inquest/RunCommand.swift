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

  @Flag(inversion: .prefixedNo, help: "Record KVM's tracepoints.")
  var trace = true

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
    options.recordsKVM = trace
    options.loggedAddresses = image.map(\.addressesAfterPagingChanges) ?? []
    let examination = Examination(commandLine: commandLine, image: image)
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
    let verdict = examination.verdict(on: outcome.scene)
    if case .refused(let refusal) = outcome.scene.recording { warn(refusal) }
    try output.write(verdict)
    throw ExitCode(status(verdict, outcome.processEnd))
  }

  private func refusal(_ end: ProcessEnd, _ outcome: GuestOutcome) -> String {
    let words = String(decoding: outcome.scene.standardError, as: UTF8.self)
    let last = words.split(whereSeparator: \.isNewline).last.map { ": \($0)" } ?? ""
    return switch end {
    case .exited(let status): "\(command[0]) did not start the guest (status \(status))\(last)"
    case .signalled(let signal): "\(command[0]) did not start the guest (signal \(signal))\(last)"
    }
  }

  private func warn(_ refusal: RecordingRefusal) {
    let remedy = refusal.remedy.map { "; \($0)" } ?? ""
    standardError.write("inquest: KVM's tracepoints were not recorded: \(refusal.lack)\(remedy)\n")
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
  /// The last examination of a guest that stood still.
  private var last: (ending: GuestEnding, verdict: Verdict)?

  init(commandLine: QEMUCommandLine, image: GuestImage?) {
    self.commandLine = commandLine
    self.image = image
  }

  func judge(_ scene: GuestScene) -> Verdict {
    Investigator.verdict(on: Scene(scene, of: commandLine, image: image))
  }

  /// A dead guest is ended, for it would only begin again; one that reset or turned off the machine goes its way.
  func examine(_ scene: GuestScene) -> Resumption {
    let verdict = judge(scene)
    last = (scene.ending, verdict)
    return verdict.outcome == .ended ? .carryOn : .end
  }

  /// The verdict on a run that is over: the one from when the guest stood still, while its registers could be read,
  /// unless it went on after that and came to another end.
  func verdict(on scene: GuestScene) -> Verdict {
    if let last, last.ending == scene.ending { return last.verdict }
    return judge(scene)
  }
}
