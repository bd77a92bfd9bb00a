import Foundation
import KVM
import Testing
import Traces
import X86

/// The text of a file under Tests/Fixtures.
func fixture(_ path: String) throws -> String {
  let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  return String(decoding: try Data(contentsOf: tests.appending(path: "Fixtures/\(path)")), as: UTF8.self)
}

/// The formats of a fixture made of `format` texts, each after a line `system: NAME`.
func formats(in path: String) throws -> [EventFormat] {
  try ("\n" + fixture(path)).split(separator: "\nsystem: ").map { part in
    let end = try #require(part.firstIndex(of: "\n"))
    return try EventFormat(
      parsing: String(part[part.index(after: end)...]), system: String(part[..<end]), machine: .amd64)
  }
}

/// The event that a line of a trace says.
func event(_ name: String, _ text: String) -> KVMEvent? {
  KVMTrace(text: "\nqemu-1 [000] 1.000000: \(name): \(text)\n").records.first?.event
}
