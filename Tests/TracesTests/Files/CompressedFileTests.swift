import Foundation
import SystemPackage
import Testing

@testable import Traces

/// Files that were compressed as a whole by the usual tools.
@Suite struct CompressedFileTests {
  /// Runs a compressor; nil, with a line that says so, if it is not installed.
  private func compressed(_ bytes: [UInt8], with tool: String) throws -> [UInt8]? {
    guard let executable = ExternalTool.path(tool) else { return nil }
    let source = try ScratchFile(bytes)
    return try ExternalTool.output(executable, ["-c", source.path.string])
  }

  private var recording: [UInt8] {
    get throws {
      let variant = TraceDatVariant(version: 6, machine: .amd64, pageSize: 4096)
      var builder = variant.builder()
      builder.cpus = [(0..<200).flatMap { variant.page([UInt64($0), UInt64($0)]) }]
      return builder.build()
    }
  }

  @Test(arguments: ["gzip", "xz", "zstd"]) func opensAsIfNotCompressed(_ tool: String) throws {
    guard let bytes = try compressed(recording, with: tool) else { return }
    let file = try TraceFile(bytes: bytes)
    #expect(file.context.problems == [])
    #expect(file.times().count == 400)
    // Members and frames may follow one another, and padding may follow all.
    if tool != "xz" { #expect(try TraceFile(bytes: bytes + [0, 0, 0]).times().count == 400) }
  }

  @Test(arguments: ["gzip", "xz", "zstd"]) func readsWhatIsLeftWhenCut(_ tool: String) throws {
    guard let bytes = try compressed(recording, with: tool) else { return }
    for cut in stride(from: 1, to: bytes.count, by: bytes.count / 50 + 1) {
      guard let file = try? TraceFile(bytes: Array(bytes[..<cut])) else { continue }
      #expect(!file.context.problems.isEmpty, "cut at \(cut)")
      #expect(file.times().count <= 400)
    }
  }

  @Test(arguments: ["gzip", "xz", "zstd"]) func survivesDamage(_ tool: String) throws {
    guard let bytes = try compressed(recording, with: tool) else { return }
    for offset in stride(from: 6, to: bytes.count, by: bytes.count / 100 + 1) {
      var damaged = bytes
      damaged[offset] ^= 0x55
      _ = try? TraceFile(bytes: damaged).times()
    }
  }
}

/// The tools that the readers are compared with.
enum ExternalTool {
  /// Where a tool is; nil, with a line that says so, if it is not installed.
  static func path(_ name: String) -> String? {
    for directory in (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":") {
      let path = "\(directory)/\(name)"
      if FileManager.default.isExecutableFile(atPath: path) { return path }
    }
    print("skipped: \(name) is not installed")
    return nil
  }

  /// What a tool writes to its standard output.
  static func output(_ executable: String, _ arguments: [String]) throws -> [UInt8] {
    let process = Process()
    process.executableURL = URL(filePath: executable)
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    // A tool that does not end must not keep the tests from ending.
    let deadline = DispatchWorkItem { process.terminate() }
    DispatchQueue.global().asyncAfter(deadline: .now() + 60, execute: deadline)
    defer { deadline.cancel() }
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return Array(output)
  }
}
