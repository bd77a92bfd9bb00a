import FileBuilding
import Files
import SystemPackage
import Testing

/// Files that were compressed as a whole by the usual tools.
@Suite struct CompressedFileTests {
  private let plain = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 >> 4 &* 7 ^ $0 % 97) }

  /// Runs a compressor; nil, with a line that says so, if it is not installed.
  private func compressed(with tool: String) throws -> [UInt8]? {
    guard let executable = ExternalTool.path(tool) else { return nil }
    let source = try ScratchFile(plain)
    return try withExtendedLifetime(source) { try ExternalTool.output(executable, ["-c", source.path.string]) }
  }

  private func opened(_ bytes: [UInt8]) throws -> (contents: [UInt8], problem: FileError?) {
    let file = try ScratchFile(bytes)
    let input = try withExtendedLifetime(file) { try FileInput(file.path) }
    return (input.memory.bytes.copied, input.problem)
  }

  @Test(arguments: ["gzip", "xz", "zstd"]) func opensAsIfNotCompressed(_ tool: String) throws {
    guard let bytes = try compressed(with: tool) else { return }
    let file = try opened(bytes)
    #expect(file.contents == plain)
    #expect(file.problem == nil)
    // Members and frames may follow one another, and padding may follow all.
    let twice = try opened(bytes + bytes)
    #expect(twice.contents == plain + plain)
    if tool != "xz" { #expect(try opened(bytes + [0, 0, 0]).contents == plain) }
  }

  @Test(arguments: ["gzip", "xz", "zstd"]) func readsWhatIsLeftWhenCut(_ tool: String) throws {
    guard let bytes = try compressed(with: tool) else { return }
    for cut in stride(from: 6, to: bytes.count, by: bytes.count / 50 + 1) {
      let file = try opened(Array(bytes[..<cut]))
      #expect(file.problem != nil, "cut at \(cut)")
      #expect(plain.starts(with: file.contents), "cut at \(cut)")
    }
  }

  @Test(arguments: ["gzip", "xz", "zstd"]) func survivesDamage(_ tool: String) throws {
    guard let bytes = try compressed(with: tool) else { return }
    for offset in stride(from: 6, to: bytes.count, by: bytes.count / 100 + 1) {
      var damaged = bytes
      damaged[offset] ^= 0x55
      _ = try? opened(damaged)
    }
  }
}
