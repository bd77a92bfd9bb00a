import Foundation
import Subprocess
import SystemPackage
import Testing

/// A program as a user starts it, in a session and with temporary folders of its own.
struct Command: Sendable {
  var program: String
  var arguments: [String]
  var standardInput: [UInt8] = []
  /// What differs from the environment of every command.
  var environment: [String: String] = [:]
  /// When to kill it. No test is about time: this only ends a test that hangs.
  var timeLimit = Duration.seconds(180)
  /// How long its processes may take to go once it has ended.
  var patience = Duration.seconds(20)

  init(_ program: String, _ arguments: [String]) {
    self.program = program
    self.arguments = arguments
  }

  /// Runs the program to its end, and finds it a fault if it leaves a process or a temporary file behind.
  ///
  /// - Parameter whileRunning: What to do meanwhile.
  func run(
    sourceLocation: SourceLocation = #_sourceLocation,
    whileRunning: @escaping @Sendable (RunningCommand) async throws -> Void = { _ in }
  ) async throws -> FinishedCommand {
    Self.surviveClosedPipes
    let folder = try Folder()
    let places = try Places(in: folder)
    let status = try await withThrowingTaskGroup(of: TerminationStatus?.self) { group in
      group.addTask { try await end(places, whileRunning) }
      group.addTask {
        try await Task.sleep(for: timeLimit)
        return nil
      }
      defer { group.cancelAll() }
      return try await group.next() ?? nil
    }
    let finished = FinishedCommand(
      command: ([program] + arguments).joined(separator: " "), end: status,
      standardOutput: try folder.text(of: "output"), standardError: try folder.text(of: "error"))
    let leftovers = try await places.leftovers(after: patience)
    #expect(leftovers == [], "\(finished)", sourceLocation: sourceLocation)
    return finished
  }

  /// A program that ends before it has read its input must not end the tests with SIGPIPE. A handler, unlike ignoring the
  /// signal, is not handed on to the programs.
  private static let surviveClosedPipes: Void = {
    signal(SIGPIPE) { _ in }
  }()

  /// Output goes to files: a process that is left behind would keep a pipe open for ever.
  private func end(
    _ places: Places, _ whileRunning: @escaping @Sendable (RunningCommand) async throws -> Void
  ) async throws -> TerminationStatus {
    var options = PlatformOptions()
    options.createSession = true
    let result = try await Subprocess.run(
      program.contains("/") ? .path(FilePath(program)) : .name(program), arguments: Arguments(arguments),
      environment: places.environment(with: environment), platformOptions: options,
      input: .array(standardInput), output: try places.file("output"), error: try places.file("error")
    ) { execution in
      let running = RunningCommand(folder: places.folder, processID: execution.processIdentifier.value) {
        signal, toGroup in
        try execution.send(signal: signal, toProcessGroup: toGroup)
      }
      do {
        try await whileRunning(running)
      } catch {
        // Else its end would be waited for before anybody hears of the error.
        try? running.send(.kill)
        throw error
      }
    }
    return result.terminationStatus
  }
}

/// A command while it runs.
struct RunningCommand: Sendable {
  fileprivate let folder: Folder
  let processID: pid_t
  fileprivate let signal: @Sendable (Signal, Bool) throws -> Void

  /// Sends a signal to the program alone, or to its whole process group as a terminal does.
  func send(_ signal: Signal, toGroup: Bool = false) throws { try self.signal(signal, toGroup) }

  /// Waits until the program's standard output contains `text`.
  func awaitOutput(_ text: String) async throws {
    try await eventually("it has printed \(text)") { try folder.text(of: "output").contains(text) }
  }

  /// The same of its standard error.
  func awaitErrors(_ text: String) async throws {
    try await eventually("it has said \(text)") { try errors().contains(text) }
  }

  /// What it has written to standard error so far.
  func errors() throws -> String { try folder.text(of: "error") }

  /// Waits until something is so, as long as the program runs.
  func eventually(_ what: String, _ condition: () throws -> Bool) async throws {
    while try !condition() {
      guard isRunning else { throw EndedEarly(before: what) }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// The processes that it started and that still run.
  var children: [pid_t] {
    let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { pid_t($0) } ?? []
    return numbers.filter { number in
      let status = (try? String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8)) ?? ""
      // The parent is the second field behind the name, which may hold anything.
      return status.split(separator: ")").last?.split(separator: " ").dropFirst().first == "\(processID)"
    }
  }

  /// Its end is not taken note of before this is over: until then it is a zombie.
  private var isRunning: Bool {
    let status = (try? String(contentsOfFile: "/proc/\(processID)/stat", encoding: .utf8)) ?? ""
    return !status.contains(") Z ") && !status.isEmpty
  }
}

/// A program ended before what was waited for.
struct EndedEarly: Error {
  let before: String
}

/// A command that has ended.
struct FinishedCommand: CustomStringConvertible {
  let command: String
  /// Nil where the time limit ended it.
  let end: TerminationStatus?
  let standardOutput: String
  let standardError: String

  /// The exit status; nil where a signal ended the program.
  var status: Int32? {
    if case .exited(let code) = end { code } else { nil }
  }

  var description: String {
    """
    \(command)
    \(end.map(\.description) ?? "killed at its time limit")
    standard output: \(standardOutput)
    standard error: \(standardError)
    """
  }
}
