import ArgumentParser
import Capture
import FoundationEssentials
import GuestImage
import Investigation
import QEMU
import Reports
import X86

/// `inquest check`: the faults that a living guest has not had yet.
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Say what would kill a living guest elsewhere: under KVM, or on real hardware.",
    discussion: """
      inquest check -- qemu-system-x86_64 -m 128 -kernel my.elf
      inquest check --after 2 --after 10 --timeout 20 -- qemu-system-x86_64 -accel kvm disk.img
      inquest check guest.core

      Page tables in use, control registers, the IDT with the way to each handler, the GDT, the TSS and the stack are held \
      against what KVM, Intel's and AMD's processors and TCG would do. A guest that runs is looked at when it has just \
      turned on paging, after the times of --after, and at its end; it does not notice.

      Exit status: 0 nothing was found, 3 something would kill the guest, 4 nothing could be judged.
      """)

  @OptionGroup var guest: GuestOptions

  @Option(
    help: ArgumentHelp(
      "Look at the guest after this time, too; may be given again. By default after 1 and 5.", valueName: "seconds"))
  var after: [Double] = []

  @Option(help: ArgumentHelp("Stop the guest after this time.", valueName: "seconds"))
  var timeout: Double?

  @Option(
    help: ArgumentHelp(
      "The guest's ELF file, for where it turns on paging; by default what -kernel names.", valueName: "file"))
  var image: String?

  @Option(name: .customLong("as"), help: WalkerArgument.help)
  var walkers: [WalkerArgument] = []

  @OptionGroup var output: OutputOptions

  func validate() throws {
    try output.requireTextOrJSON()
    if guest.isEmpty {
      throw ValidationError("nothing to check: inquest check guest.core, or inquest check -- qemu-system-x86_64 …")
    }
    for time in after + [timeout].compactMap(\.self) where !(time > 0 && time < 1e9) {
      throw ValidationError("--after and --timeout take a number of seconds")
    }
  }

  /// Whether the arguments are a command line. The parser has no array of files beside one of what follows `--`, and does
  /// not tell whether `--` was there.
  private var isCommand: Bool { CommandLine.arguments.contains("--") }

  func run() throws {
    let (looks, ending) = try isCommand ? lookAtRun() : (lookAtFiles(), nil)
    let report = CheckReport(looks, ending: ending)
    try output.write(text: { report.text(usesColour: $0) }, json: { report.json() })
    if report.hasFaults { throw ExitCode(3) }
    if looks.isEmpty || looks.allSatisfy({ $0.checkup.faults.isEmpty && !$0.checkup.unjudged.isEmpty }) {
      throw ExitCode(4)
    }
  }

  private func checkup(_ scene: Scene) -> Checkup {
    let walkers = walkers.walkers
    return Checkup(of: scene, walkers: walkers.isEmpty ? Walker.representative : walkers)
  }

  // MARK: Files

  private func lookAtFiles() throws -> [CheckReport.Look] {
    try guest.withScene { scene in
      guard scene.memory != nil else {
        throw Failure("no memory: give a dump (in QEMU's monitor: dump-guest-memory FILE)")
      }
      return [CheckReport.Look(moment: guest.name, checkup: checkup(scene))]
    }
  }

  // MARK: A run

  private func lookAtRun() throws -> ([CheckReport.Look], String) {
    let commandLine = QEMUCommandLine(program: guest.files[0], arguments: Array(guest.files.dropFirst()))
    let image = try GuestImage(of: commandLine, at: image)
    var options = GuestRun.Options()
    options.timeLimit = timeout.map { .seconds($0) }
    options.recordsKVM = false
    options.looks = (after.isEmpty ? [1, 5] : after).map { .seconds($0) }
    options.loggedAddresses = image.map(\.addressesAfterPagingChanges) ?? []
    options.breakpoints = image.map(\.addressesAfterCR0Writes) ?? []
    var looks: [CheckReport.Look] = []
    let outcome: GuestOutcome
    do {
      outcome = try GuestRun(commandLine, options: options).run { moment, guest in
        let scene = Scene(guest, of: commandLine, image: image)
        if let name = moment.name(in: scene) { looks.append(.init(moment: name, checkup: checkup(scene))) }
        return .carryOn
      } examine: { guest in
        looks.append(contentsOf: end(Scene(guest, of: commandLine, image: image)))
        return .end
      }
    } catch {
      throw Failure(error.description)
    }
    let scene = Scene(outcome.scene, of: commandLine, image: image)
    if looks.last?.moment != Self.atTheEnd { looks.append(contentsOf: end(scene)) }
    return (looks, Investigator.verdict(on: scene).ending)
  }

  private static let atTheEnd = "at the end"

  /// What the end of a run still shows: the registers that were logged when paging was turned on, with the memory of the
  /// end, and those of the end.
  private func end(_ scene: Scene) -> [CheckReport.Look] {
    var looks: [CheckReport.Look] = []
    if let sample = scene.samples.last, scene.processors.isEmpty {
      var sampled = scene
      sampled.processors = [sample]
      looks.append(.init(moment: "when paging was last changed, with the memory of the end", checkup: checkup(sampled)))
    }
    if !scene.processors.isEmpty { looks.append(.init(moment: Self.atTheEnd, checkup: checkup(scene))) }
    return looks
  }
}

extension GuestMoment {
  /// What to call the moment; nil for a write to CR0 that leaves paging off.
  fileprivate func name(in scene: Scene) -> String? {
    switch self {
    case .ranFor(let time): "after \(time.seconds) s"
    case .reached: scene.processors.contains { $0.state.cr0.contains(.paging) } ? "paging just turned on" : nil
    }
  }
}

extension Duration {
  /// With no more digits than it has, to the millisecond.
  fileprivate var seconds: String {
    let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)" : "\(Double(milliseconds) / 1000)"
  }
}
