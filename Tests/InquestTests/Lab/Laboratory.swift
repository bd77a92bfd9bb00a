import Foundation
import Testing

/// The laboratory of Lab/, in which KVM, tracefs and kprobes are real.
enum Laboratory {
  /// Whether its tests are wanted; `make lab-test` builds it and says so.
  static var isWanted: Bool { ProcessInfo.processInfo.environment["INQUEST_LAB"] != nil }

  /// Runs a shell script inside, from the root of the repository, with `$INQUEST` the command under test.
  ///
  /// - Parameter options: Of Lab/run.
  static func run(
    _ script: String, options: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> LaboratoryJob {
    let results = try Folder()
    let root = URL(filePath: #filePath).appending(path: "../../../..").standardizedFileURL.path
    let job = try results.write(Array("cd \(root)\nINQUEST=\(try InquestCommand.path())\n\(script)\n".utf8), to: "job")
    var command = Command("\(root)/Lab/run", options + ["--results", results.path, "bash", job])
    command.timeLimit = .seconds(300)
    let finished = try await command.run(sourceLocation: sourceLocation)
    return LaboratoryJob(finished: finished, results: results)
  }
}

/// A job that has ended, and what it left.
struct LaboratoryJob: CustomStringConvertible {
  let finished: FinishedCommand
  private let results: Folder

  fileprivate init(finished: FinishedCommand, results: Folder) {
    self.finished = finished
    self.results = results
  }

  /// The text of a file that the job put into `$RESULTS`.
  func text(of name: String) throws -> String { try results.text(of: name) }

  var description: String { finished.description }
}

extension ExampleGuest {
  /// How a user in the laboratory runs it under KVM.
  func laboratoryCommand(cpu: String) throws -> String {
    try command(accelerator: "kvm", ["-cpu", "\(cpu),check=off"]).joined(separator: " ")
  }
}
