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

  /// Runs it to its end; SIGINT, SIGTERM and SIGHUP end it. Its input and output are this process's.
  ///
  /// - Parameter look: Called now and then while it runs, with its process ID.
  public func run(look: (Int32) -> Void = { _ in }) throws(CaptureError) -> ProcessEnd {
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
    while !process.hasEnded() {
      var waits = [process.exitDescriptor, signals.descriptor].map {
        pollfd(fd: $0.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
      }
      waitForAny(&waits, until: .now + .milliseconds(200))
      if let signal = signals.next() { end.ask(signal) }
      end.carryOut(on: process)
      look(process.processID)
    }
    return process.end ?? .exited(status: 0)
  }
}
