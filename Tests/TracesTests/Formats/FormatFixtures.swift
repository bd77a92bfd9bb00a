import Foundation
import Testing
import Traces

/// The whole content of a file under Tests/Fixtures, or of any absolute path.
func fixture(_ path: String) throws -> [UInt8] {
  let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  return [UInt8](try Data(contentsOf: URL(filePath: path, relativeTo: tests.appending(path: "Fixtures/"))))
}

/// The formats of a fixture made of `format` texts, each after a line `system: NAME`.
func formats(in path: String, machine: RecordingMachine = .amd64) throws -> [EventFormat] {
  let text = String(decoding: try fixture(path), as: UTF8.self)
  var formats: [EventFormat] = []
  for part in ("\n" + text).split(separator: "\nsystem: ") {
    let end = try #require(part.firstIndex(of: "\n"))
    formats.append(
      try EventFormat(parsing: String(part[part.index(after: end)...]), system: String(part[..<end]), machine: machine)
    )
  }
  return formats
}
