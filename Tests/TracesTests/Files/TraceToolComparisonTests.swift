import FileBuilding
import Foundation
import SystemPackage
import Testing

@testable import Traces

/// Line by line against the tools whose lines `inquest report` prints, on the same files.
@Suite struct TraceToolComparisonTests {
  /// The events that libtraceevent 1.7 prints otherwise than their own kernel, on the lines it could parse:
  ///
  /// - kvm_userspace_exit: takes `errno`, an int, as unsigned, so that its `errno < 0` is never true.
  /// - kvm_pvclock_update: prints `tsc_shift`, an __s8, with `%d` as 255 for -1.
  private static let mistaken = ["kvm_userspace_exit", "kvm_pvclock_update"]

  private static func lines(_ bytes: [UInt8]) -> [String] {
    String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
      $0.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
    }
  }

  /// What `inquest report` prints.
  private static func report(_ path: FilePath) throws -> [String] {
    let file = try TraceFile(path: path)
    var printer = TracePrinter(file.context)
    var text = TextBuffer()
    text.append(printer.heading)
    file.forEach { item in
      if case .lost = item, file.context.kind == .perfData { return .proceed }
      printer.append(item, to: &text)
      return .proceed
    }
    return lines((0..<text.count).map { text.bytes[$0] })
  }

  /// Says how many lines were the same.
  private static func compare(_ path: FilePath, _ tool: [String]) throws -> Int {
    let own = try report(path)
    #expect(own.count == tool.count)
    var same = 0
    for (mine, theirs) in zip(own, tool) {
      if mine == theirs {
        same += 1
      } else if theirs.contains("[FAILED TO PARSE]") || mistaken.contains(where: theirs.contains) {
        // Up to the event's text the lines are the same all the same.
        let head = theirs.prefix { $0 != "[" }
        #expect(mine.hasPrefix(head))
        #expect(!mine.contains("FAILED TO PARSE"))
      } else {
        #expect(mine == theirs)
      }
    }
    return same
  }

  @Test func printsAsTraceCmdDoes() throws {
    guard let traceCmd = ExternalTool.path("trace-cmd") else { return }
    let path = recording("one-gib-pages/dies.trace.dat")
    let converted: [ScratchFile] = try ["--file-version 6", "--compression none"].map { options in
      let file = try ScratchFile()
      _ = try ExternalTool.output(
        traceCmd,
        ["convert", "-i", path.string, "-o", file.path.string] + options.split(separator: " ").map(String.init))
      return file
    }
    for path in [path] + converted.map({ $0.path }) {
      let tool = Self.lines(try ExternalTool.output(traceCmd, ["report", "-N", path.string]))
      #expect(tool.count > 80_000)
      #expect(try Self.compare(path, tool) > 80_000)
    }
  }

  @Test(arguments: [TraceDatWriter.Compression.none, .zstd])
  func writesWhatTraceCmdReads(_ compression: TraceDatWriter.Compression) throws {
    guard let traceCmd = ExternalTool.path("trace-cmd") else { return }
    let copy = try ScratchFile()
    let source = try TraceFile(path: recording("one-gib-pages/pvm.perf.data"))
    try TraceDatWriter.convert(source, to: copy.path, compression: compression)
    let tool = Self.lines(try ExternalTool.output(traceCmd, ["report", "-N", copy.path.string]))
    #expect(try Self.compare(copy.path, tool) > 20_000)
  }

  /// What no tool here records: the other byte order, 32 bits, several buffers, every kind of entry.
  @Test(arguments: TraceDatVariant.all) func readsMadeUpFilesAsTraceCmdDoes(_ variant: TraceDatVariant) throws {
    guard let traceCmd = ExternalTool.path("trace-cmd") else { return }
    // trace-cmd takes the size of version 6's pages from the machine's; it may have been built without zlib.
    guard variant.pageSize == 4096 || variant.version == 7, variant.compression == .none else { return }
    var builder = variant.builder()
    let base: UInt64 = 5_000_000_000
    builder.cpus = [
      variant.page([base, base + 7_000_499]) + variant.page([base + 9_000_500], flags: 1 << 31 | 1 << 30, lost: 12)
        + variant.page([base + 10_000_000], flags: 1 << 31),
      variant.page([base + 2_000_000, base + 9_500_000]),
    ]
    let file = try ScratchFile(builder.build())
    let tool = Self.lines(try ExternalTool.output(traceCmd, ["report", "-N", file.path.string]))
    let own = try Self.report(file.path)
    #expect(own == tool)
  }

  @Test func printsAsPerfDoes() throws {
    guard let perf = ExternalTool.path("perf") else { return }
    let path = recording("one-gib-pages/pvm.perf.data")
    let tool = Self.lines(try ExternalTool.output(perf, ["script", "-i", path.string]))
    #expect(tool.count == 20319)
    #expect(try Self.compare(path, tool) > 20_000)
  }

  /// A recording of a few short-lived processes, in the forms that perf writes. Not of the whole machine: perf would then
  /// record what its own writing causes.
  @Test(arguments: [[], ["-z"]], [true, false]) func printsOwnRecordingsAsPerfDoes(_ options: [String], isPipe: Bool)
    throws
  {
    guard let perf = ExternalTool.path("perf") else { return }
    let file = try ScratchFile()
    let recording = try ExternalTool.output(
      perf,
      ["record", "-q", "-o", isPipe ? "-" : file.path.string, "-e", "sched:*"] + options
        + ["--", "sh", "-c", "for i in 1 2 3 4 5; do sleep 0.01; done"])
    if isPipe { try Data(recording).write(to: URL(filePath: file.path.string)) }
    guard let trace = try? TraceFile(path: file.path), !trace.kept().isEmpty else {
      print("skipped: perf may not record tracepoints here")
      return
    }
    let tool = Self.lines(try ExternalTool.output(perf, ["script", "-i", file.path.string]))
    let own = try Self.report(file.path)
    #expect(own.count == tool.count)
    for (mine, theirs) in zip(own, tool) where mine != theirs && !theirs.contains("[FAILED TO PARSE]") {
      Issue.record("\(mine)\n\(theirs)")
    }
  }
}
