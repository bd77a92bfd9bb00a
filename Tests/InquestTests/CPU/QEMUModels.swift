import JSONDocuments
import Testing

/// What the installed QEMU says of its CPU models, found out without Inquest.
enum QEMUModels {
  /// The models, by their names with versions, whose definition has the feature.
  static func names(having feature: String) async throws -> Set<String> {
    let definitions = try await answers(to: [#"{"execute": "query-cpu-definitions"}"#])[0].array ?? []
    let names = definitions.filter { $0["alias-of"] == nil }.compactMap { $0["name"]?.string }
      .filter { $0 != "host" && $0 != "max" }
    let questions = names.map { name in
      #"{"execute": "query-cpu-model-expansion", "arguments": {"type": "full", "model": {"name": "\#(name)"}}}"#
    }
    let expansions = try await answers(to: questions)
    let having = zip(names, expansions).filter { $0.1["model"]?["props"]?[feature]?.boolean == true }
    return Set(having.map(\.0))
  }

  private static func answers(to questions: [String]) async throws -> [JSONValue] {
    let lines = [#"{"execute": "qmp_capabilities"}"#] + questions + [#"{"execute": "quit"}"#]
    var command = Command(
      "qemu-system-x86_64", ["-machine", "pc", "-accel", "tcg", "-display", "none", "-S", "-qmp", "stdio"])
    command.standardInput = Array((lines.joined(separator: "\n") + "\n").utf8)
    let output = try await command.run().standardOutput.split(whereSeparator: \.isNewline)
    let returns = try output.compactMap { try JSONValue(String($0))["return"] }
    try #require(returns.count > questions.count, "QEMU did not answer every question")
    return Array(returns.dropFirst().prefix(questions.count))
  }
}
