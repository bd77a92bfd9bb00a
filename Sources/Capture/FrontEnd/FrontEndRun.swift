import Glibc
import SystemPackage

/// Runs a program that starts QEMU sooner or later, with a ``FrontEndFolder`` first in its PATH.
public struct FrontEndRun {
  private let command: [String]
  private let folder: FrontEndFolder
  private let environment: [String: String]

  /// - Parameters:
  ///   - command: the program and its arguments.
  ///   - environment: what the Inquests in QEMU's place are to find in theirs.
  public init(_ command: [String], in folder: FrontEndFolder, environment: [String: String]) {
    self.command = command
    self.folder = folder
    self.environment = environment
  }

  /// How often QEMUs that are started past the folder are looked for.
  private static let interval = Duration.milliseconds(100)

  /// What a front end came to.
  public struct Outcome: Hashable, Sendable {
    public var end: ProcessEnd
    /// The exit statuses of the Inquests that ran in QEMU's place or were attached to one.
    public var statuses: [Int32]
  }

  /// Runs it to its end; SIGINT, SIGTERM and SIGHUP end it. Its input and output are this process's.
  ///
  /// - Parameter attachment: The command that watches a QEMU which was started by its path, given its process ID.
  public func run(attachment: (Int32) -> [String]) throws(CaptureError) -> Outcome {
    let process: ChildProcess
    let signals: InterruptSignals
    do throws(Errno) {
      signals = try InterruptSignals()
      // env executes the command in its own place: what it starts is the same process.
      var words = ["PATH=\(folder.searchPath)", "\(FrontEndFolder.variable)=\(folder.path.string)"]
      words += environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
      process = try ChildProcess(
        program: "env", arguments: words + command, standardError: .standardError, inheriting: [])
    } catch {
      throw .cannotStart(program: command.first ?? "", errno: error.rawValue)
    }
    var end = RequestedEnd()
    var attached: [Int32: ChildProcess] = [:]
    while !process.hasEnded() {
      var waits = [process.exitDescriptor, signals.descriptor].map {
        pollfd(fd: $0.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
      }
      waitForAny(&waits, until: .now + Self.interval)
      if let signal = signals.next() { end.ask(signal) }
      end.carryOut(on: process)
      for qemu in ProcessTree().strangeQEMUs(below: process.processID) where attached[qemu] == nil {
        attached[qemu] = Self.start(attachment(qemu))
      }
    }
    var statuses = folder.statuses
    for watcher in attached.values {
      // 1: it could not look at QEMU, and said so.
      if case .exited(let status)? = Self.awaitEnd(of: watcher), status != 1 { statuses.append(status) }
    }
    return Outcome(end: process.end ?? .exited(status: 0), statuses: statuses)
  }

  private static func start(_ words: [String]) -> ChildProcess? {
    try? ChildProcess(
      program: words[0], arguments: Array(words.dropFirst()), standardError: .standardError, inheriting: [])
  }

  /// Who watches a QEMU ends soon after it, or, where that is left running in the background, when asked to.
  private static func awaitEnd(of watcher: ChildProcess) -> ProcessEnd? {
    for signal in [nil, SIGTERM, SIGKILL] {
      if let signal { watcher.send(signal) }
      _ = watcher.exitDescriptor.descriptor.waitUntil(.readable, .now + .seconds(10))
      if watcher.hasEnded() { break }
    }
    return watcher.end
  }
}
