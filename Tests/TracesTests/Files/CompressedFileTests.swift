import FileBuilding
import SystemPackage
import Testing
import Traces

/// A trace that was compressed as a whole.
@Suite struct CompressedFileTests {
  private var recording: [UInt8] {
    get throws {
      let variant = TraceDatVariant(version: 6, machine: .amd64, pageSize: 4096)
      var builder = variant.builder()
      builder.cpus = [(0..<200).flatMap { variant.page([UInt64($0), UInt64($0)]) }]
      return builder.build()
    }
  }

  @Test func opensAsIfNotCompressed() throws {
    guard let gzip = ExternalTool.path("gzip") else { return }
    let source = try ScratchFile(recording)
    let bytes = try withExtendedLifetime(source) { try ExternalTool.output(gzip, ["-c", source.path.string]) }
    let file = try TraceFile(bytes: bytes)
    #expect(file.context.problems == [])
    #expect(file.times().count == 400)
    for cut in stride(from: 1, to: bytes.count, by: bytes.count / 50 + 1) {
      guard let file = try? TraceFile(bytes: Array(bytes[..<cut])) else { continue }
      #expect(!file.context.problems.isEmpty, "cut at \(cut)")
      #expect(file.times().count <= 400)
    }
  }
}
