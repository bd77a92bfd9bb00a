import ArgumentParser
import Capture
import FoundationEssentials
import GuestImage
import GuestMemory
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
      inquest run -- make qemu

      The guest runs as it would without inquest: its console is your terminal, and your options keep their meaning. \
      Under KVM its tracepoints are recorded if you may; under TCG nothing needs any privilege.
      """)

  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("The guest's ELF file, for symbols; by default what -kernel names.", valueName: "file"))
  var image: String?

  @Option(help: ArgumentHelp("Stop the guest after this time.", valueName: "seconds"))
  var timeout: Double?

  @Option(
    help: ArgumentHelp("Examine the guest if it makes no progress for this time, and say why.", valueName: "seconds"))
  var stall: Double?

  @OptionGroup var recorder: RecorderOptions

  @Flag(
    help: ArgumentHelp(
      """
      If the guest dies, run it again with each option that would cure it, and say what happened; disks are left as they \
      are (-snapshot). Where KVM has cleared the registers (AMD), run it under TCG first, which keeps them.
      """))
  var verify = false

  @Flag(help: "If the guest dies, leave it as it stands with a gdbstub, and print the command that opens GDB there.")
  var gdb = false

  @Flag(help: "If the guest dies, leave it as it stands, and print how to reach QEMU's monitor.")
  var keep = false

  @OptionGroup var cases: CaseOptions

  @Flag(name: .shortAndLong, help: "Say what is recorded and why, and how it went.")
  var verbose = false

  @Argument(
    parsing: .postTerminator, help: ArgumentHelp("The QEMU command line, after --.", valueName: "qemu-system-x86_64 …"))
  var command: [String] = []

  func validate() throws {
    guard !command.isEmpty else {
      throw ValidationError("no QEMU command line: inquest run -- qemu-system-x86_64 …")
    }
    if verify, gdb || keep {
      throw ValidationError("--verify runs the guest again; --gdb and --keep leave it as it is")
    }
    for (name, time) in [("timeout", timeout), ("stall", stall)] {
      if let time, !(time > 0 && time < 1e9) { throw ValidationError("--\(name) takes a number of seconds") }
    }
  }

  func run() throws {
    guard FrontEnd.isQEMU(command[0]) else { return try frontEnd.run() }
    let commandLine = QEMUCommandLine(program: command[0], arguments: Array(command.dropFirst()))
    try cases.check()
    let imagePath = image ?? commandLine.kernelPath
    let image = try GuestImage(of: commandLine, at: image)
    var options = GuestRun.Options()
    options.timeLimit = timeout.map { .seconds($0) }
    options.stallTime = stall.map { .seconds($0) }
    recorder.apply(to: &options)
    options.loggedAddresses = image.map(\.addressesAfterPagingChanges) ?? []
    if gdb { options.doors.insert(.debugger) }
    if keep { options.doors.insert(.monitor) }
    let examination = Examination(
      commandLine: commandLine, image: image, afterDeath: options.doors.isEmpty ? .end : .stay,
      keeper: CaseKeeper(options: cases, commandLine: commandLine, image: image, imagePath: imagePath),
      secondRun: verify ? SecondRun(commandLine: commandLine, options: options) : nil, show: show)
    let start = ContinuousClock.now
    let outcome: GuestOutcome
    do {
      outcome = try GuestRun(commandLine, options: options).run(
        suspect: Examination.suspects,
        stay: { doors in
          KeptGuest(
            doors: doors, wanted: options.doors, verdict: examination.last?.judgement.verdict,
            scene: examination.last?.judgement.scene, imagePath: image == nil ? nil : imagePath
          ).tell()
        }, examine: { examination.examine($0) })
    } catch {
      throw Failure(error.description)
    }
    if case .refusedToStart(let end) = outcome.ending { throw Failure(refusal(end, outcome)) }
    let verdict = try examination.conclude(outcome.scene)
    if verify {
      try showTrials(
        of: verdict,
        CureTrials(
          commandLine: commandLine, image: image, options: options, duration: outcome.scene.moment - start, tell: tell))
    }
    throw ExitCode(status(verdict, outcome))
  }

  /// Whether the verdict is shown before the cures are tried: what is one document is written when all is known.
  private var showsTrialsAfterwards: Bool { verify && output.format == .text && output.output == nil }

  private var frontEnd: FrontEnd {
    var words = ["--format", output.format.rawValue] + cases.words + (recorder.trace ? [] : ["--no-trace"])
    if let path = output.output { words += ["--output", path] }
    if let image { words += ["--image", image] }
    return FrontEnd(command: command, attachment: words + (verbose ? ["--verbose"] : []))
  }

  private func tell(_ trial: Trial) {
    guard showsTrialsAfterwards else { return }
    standardOutput.write(TerminalReport(usesColour: output.usesColour).text(of: trial))
  }

  private func showTrials(of verdict: Verdict, _ trials: CureTrials) throws {
    if showsTrialsAfterwards {
      standardOutput.write(TerminalReport(usesColour: output.usesColour).trialsHeading(for: verdict))
    }
    let verified = trials.verifying(verdict)
    if !showsTrialsAfterwards { try output.write(verified) }
  }

  private func show(_ verdict: Verdict, _ scene: GuestScene) throws {
    RecorderReport(isVerbose: verbose).tell(scene.recording)
    if !verify || showsTrialsAfterwards { try output.write(verdict) }
    guard verbose else { return }
    let time = (ContinuousClock.now - scene.moment) / Duration.milliseconds(1)
    standardError.write("inquest: verdict \(Int(time.rounded())) ms after the end\n")
  }

  private func refusal(_ end: ProcessEnd, _ outcome: GuestOutcome) -> String {
    let status =
      switch end {
      case .exited(let status): "status \(status)"
      case .signalled(let signal): "signal \(signal)"
      }
    let line = QEMUCommandLine(program: command[0], arguments: Array(command.dropFirst()))
    let errors = String(decoding: outcome.scene.standardError, as: UTF8.self)
    let refusal = StartRefusal(standardError: errors, of: line)
    return [
      "\(command[0]) did not start the guest (\(status))\(refusal.map { ": \($0.reason)" } ?? "")",
      refusal?.option.map { "  option: \($0)" }, refusal?.cure.map { "  cure: \($0)" },
    ].compactMap(\.self).joined(separator: "\n")
  }

  private func status(_ verdict: Verdict, _ outcome: GuestOutcome) -> Int32 {
    guard verdict.outcome == .ended else { return verdict.exitStatus }
    switch (outcome.processEnd, outcome.ending) {
    case (.exited(let status), _): return status
    // QEMU was ended for the user's signal, whichever signal that took.
    case (.signalled, .interrupted(let signal)): return 128 + signal
    case (.signalled(let signal), _): return 128 + signal
    }
  }
}
