import ArgumentParser
import Capture
import FoundationEssentials
import Glibc
import QEMU
import SystemPackage

/// `inquest run -- make qemu`: a program that starts QEMU by its name.
struct FrontEnd {
  let command: [String]
  /// The words of `inquest attach` but for the process, for a QEMU that is not met.
  let attachment: [String]

  /// The options of `inquest run` as they were given, for the Inquest in QEMU's place.
  private static let optionsVariable = "INQUEST_FRONT_END_OPTIONS"
  private static let processVariable = "INQUEST_FRONT_END_PROCESS"
  /// Stands between the options; no file's name has it.
  private static let separator: Character = "\u{1F}"

  /// Whether the program is QEMU itself.
  static func isQEMU(_ program: String) -> Bool {
    let name = citedName(program)
    return name.hasPrefix("qemu-system-") || FrontEndFolder.programs.contains(name)
  }

  // MARK: The front end

  func run() throws {
    let outcome: FrontEndRun.Outcome
    do throws(CaptureError) {
      let executable = try Self.executable()
      let folder = try FrontEndFolder(executable: FilePath(executable))
      let environment = [
        Self.optionsVariable: Self.options().joined(separator: String(Self.separator)),
        Self.processVariable: "\(ProcessInfo.processInfo.processIdentifier)",
      ]
      outcome = try FrontEndRun(command, in: folder, environment: environment).run { qemu in
        standardError.write(
          "inquest: process \(qemu), a QEMU, was started by its path; watching it as inquest attach does\n")
        return [executable, "attach"] + attachment + ["\(qemu)"]
      }
    } catch {
      throw Failure(error.description)
    }
    // A guest's death says more than what a front end makes of QEMU's status.
    for status in [3, 4] as [Int32] where outcome.statuses.contains(status) { throw ExitCode(status) }
    switch outcome.end {
    case .exited(let status) where !outcome.statuses.isEmpty: throw ExitCode(status)
    case .signalled(let signal) where !outcome.statuses.isEmpty: throw ExitCode(128 + signal)
    case .exited(let status): throw Failure(noQEMU("status \(status)"))
    case .signalled(let signal): throw Failure(noQEMU("signal \(signal)"))
    }
  }

  private func noQEMU(_ end: String) -> String {
    "\(command[0]) ended (\(end)) and started no QEMU that Inquest met; inquest attach PID watches one that runs"
  }

  private static func executable() throws(CaptureError) -> String {
    do {
      return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    } catch {
      throw .system(doing: "finding this program", errno: ENOENT)
    }
  }

  /// The words between `run` and `--`; a front end may work in another folder, so files are named from the root.
  private static func options() -> [String] {
    var options = Array(CommandLine.arguments.dropFirst(2).prefix { $0 != "--" })
    for index in options.indices.dropFirst() where ["-o", "--output", "--save", "--image"].contains(options[index - 1])
    {
      options[index] = URL(filePath: options[index]).standardizedFileURL.path
    }
    return options
  }

  // MARK: In QEMU's place

  /// The arguments of the Inquest that runs in QEMU's place; nil where this process is none.
  ///
  /// A QEMU that is only asked something is executed at once, and this does not return.
  static func argumentsInPlaceOfQEMU() throws(Failure) -> [String]? {
    let name = citedName(CommandLine.arguments[0])
    let environment = ProcessInfo.processInfo.environment
    guard FrontEndFolder.programs.contains(name), let folder = environment[FrontEndFolder.variable] else { return nil }
    guard let program = FrontEndFolder.find(name, besides: folder) else { throw Failure("there is no \(name)") }
    let commandLine = QEMUCommandLine(program: program, arguments: Array(CommandLine.arguments.dropFirst()))
    if commandLine.onlyAsks || commandLine.daemonizes { try execute(commandLine) }
    if let process = environment[processVariable].flatMap({ Int32($0) }) { FrontEndFolder.endWithProcess(process) }
    let options = (environment[optionsVariable] ?? "").split(separator: separator).map(String.init)
    return ["run"] + options + ["--", program] + commandLine.arguments
  }

  private static func execute(_ commandLine: QEMUCommandLine) throws(Failure) {
    // The C strings live until the program is replaced.
    var words = unsafe ([commandLine.program] + commandLine.arguments).map { unsafe strdup($0) } + [nil]
    unsafe execv(commandLine.program, &words)
    throw Failure("cannot start \(commandLine.program): \(Errno(rawValue: errno))")
  }

  /// Tells the front end's Inquest how this one ends, if there is one.
  static func report(_ status: Int32) {
    guard FrontEndFolder.programs.contains(citedName(CommandLine.arguments[0])),
      let folder = ProcessInfo.processInfo.environment[FrontEndFolder.variable]
    else { return }
    FrontEndFolder.report(status, in: folder)
  }
}

extension QEMUCommandLine {
  /// Whether QEMU prints something and ends: `-version`, `-help`, or `help` as a value, of `-cpu` and the like.
  fileprivate var onlyAsks: Bool {
    options.contains { option in
      ["version", "h", "help"].contains(option.name) || ["help", "?"].contains(option.value)
        || option.value?.hasSuffix(",help") == true
    }
  }
}
