import Foundation

/// A file below Tests/Fixtures.
func fixture(_ path: String, file: String = #filePath) throws -> [UInt8] {
  let tests = URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
  return [UInt8](try Data(contentsOf: tests.appendingPathComponent("Fixtures/\(path)")))
}

func fixtureText(_ path: String) throws -> String { String(decoding: try fixture(path), as: UTF8.self) }
