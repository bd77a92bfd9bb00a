import Foundation
import JSONDocuments
import Testing

/// The command under test, as it was built.
enum InquestCommand {
  /// The executable lies in the build folder, where the tests do.
  static func path() throws -> String {
    let folder = try #require(Bundle.main.executableURL).deletingLastPathComponent()
    let path = folder.appending(path: "inquest").path
    try #require(FileManager.default.isExecutableFile(atPath: path), "there is no \(path): swift build makes it")
    return path
  }
}

/// Runs `inquest` with these arguments.
func inquest(
  _ arguments: [String], standardInput: some Sequence<UInt8> = [], environment: [String: String] = [:],
  sourceLocation: SourceLocation = #_sourceLocation,
  whileRunning: @escaping @Sendable (RunningCommand) async throws -> Void = { _ in }
) async throws -> FinishedCommand {
  var command = Command(try InquestCommand.path(), arguments)
  command.standardInput = Array(standardInput)
  command.environment = environment
  return try await command.run(sourceLocation: sourceLocation, whileRunning: whileRunning)
}

/// Runs `inquest examine`, and reads its verdict.
func examine(
  _ files: [String], standardInput: some Sequence<UInt8> = [], sourceLocation: SourceLocation = #_sourceLocation
) async throws -> (FinishedCommand, VerdictDocument) {
  let finished = try await inquest(
    ["examine", "--format", "json"] + files, standardInput: standardInput, sourceLocation: sourceLocation)
  return (finished, try VerdictDocument(finished.standardOutput, of: finished, sourceLocation: sourceLocation))
}

/// Runs a guest with `inquest run`, and reads its verdict.
///
/// - Parameter options: Options of `inquest run` itself.
func run(
  _ command: [String], options: [String] = [], sourceLocation: SourceLocation = #_sourceLocation,
  whileRunning: @escaping @Sendable (RunningCommand) async throws -> Void = { _ in }
) async throws -> (FinishedCommand, VerdictDocument) {
  let folder = try Folder()
  let finished = try await inquest(
    ["run", "--format", "json", "--output", folder.path("verdict.json")] + options + ["--"] + command,
    sourceLocation: sourceLocation, whileRunning: whileRunning)
  let text = (try? folder.text(of: "verdict.json")) ?? ""
  return (finished, try VerdictDocument(text, of: finished, sourceLocation: sourceLocation))
}
