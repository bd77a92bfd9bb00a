import Foundation

/// The path of a file in Tests/Fixtures/one-gib-pages.
func fixture(_ name: String) -> String {
  URL(filePath: #filePath).appending(path: "../../../Fixtures/one-gib-pages/\(name)").standardizedFileURL.path
}

/// The bytes of such a file.
func contents(ofFixture name: String) throws -> [UInt8] {
  try Array(Data(contentsOf: URL(filePath: fixture(name))))
}
