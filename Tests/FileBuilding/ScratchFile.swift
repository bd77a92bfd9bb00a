import Foundation
public import SystemPackage

/// A file in a directory of its own, removed with this object.
public final class ScratchFile {
  public let path: FilePath

  public init(_ bytes: [UInt8] = []) throws {
    path = FilePath(NSTemporaryDirectory()).appending("inquest-test-\(UUID().uuidString)")
    try Data(bytes).write(to: URL(filePath: path.string))
  }

  deinit { try? FileManager.default.removeItem(atPath: path.string) }

  public func contents() throws -> [UInt8] { try Self.contents(of: path) }

  public static func contents(of path: FilePath) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: path.string)))
  }
}

/// A file among the fixtures of all test targets.
public func recording(_ path: String) -> FilePath {
  var root = FilePath(#filePath)
  for _ in 0..<3 { root.removeLastComponent() }
  return root.appending("Tests/Fixtures").appending(path)
}
