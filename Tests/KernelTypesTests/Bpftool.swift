import Foundation
import KernelTypes
import Testing

/// What bpftool says of BTF, as a second reader of it.
struct Bpftool {
  private var types: [[String: Any]] = []

  /// Nil where there is no bpftool.
  init?(_ file: String, base: String?) throws {
    guard let tool = ["/usr/sbin/bpftool", "/usr/bin/bpftool"].first(where: FileManager.default.isExecutableFile)
    else { return nil }
    // Of BTF on top of other BTF, it shows its own types alone.
    let dumps = (base.map { [["-j", "btf", "dump", "file", $0], ["-B", $0, "-j", "btf", "dump", "file", file]] })
    for arguments in dumps ?? [["-j", "btf", "dump", "file", file]] {
      let document = try JSONSerialization.jsonObject(with: try outputOf(tool, arguments)) as? [String: Any]
      types += try #require(document?["types"] as? [[String: Any]])
    }
  }

  /// For each parameter of a function its name; nil if there is no such function.
  func parameters(of function: String) -> [String]? {
    guard let found = types.first(where: { $0["kind"] as? String == "FUNC" && $0["name"] as? String == function }),
      let prototype = types.first(where: { $0["id"] as? Int == found["type_id"] as? Int })
    else { return nil }
    return (prototype["params"] as? [[String: Any]])?.compactMap { $0["name"] as? String }
  }

  /// The byte at which a structure's member begins.
  func offset(of member: String, in structure: String) -> Int? {
    let found = types.first { $0["kind"] as? String == "STRUCT" && $0["name"] as? String == structure }
    let members = found?["members"] as? [[String: Any]]
    return (members?.first { $0["name"] as? String == member }?["bits_offset"] as? Int).map { $0 / 8 }
  }
}

/// Runs a program to its end and gives what it printed.
func outputOf(_ program: String, _ arguments: [String]) throws -> Data {
  let process = Process()
  let pipe = Pipe()
  process.executableURL = URL(filePath: program)
  process.arguments = arguments
  process.standardOutput = pipe
  try process.run()
  let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  try #require(process.terminationStatus == 0, "\(program) \(arguments)")
  return output
}
