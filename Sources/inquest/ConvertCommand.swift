import ArgumentParser
import SystemPackage
import Traces

/// `inquest convert TRACE -o trace.dat`: any binary trace as a trace.dat.
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write a trace (trace.dat or perf.data) as a trace.dat that trace-cmd and KernelShark open.",
    discussion: "inquest convert perf.data -o trace.dat")

  enum Compression: String, ExpressibleByArgument, CaseIterable {
    case zstd
    case none
  }

  @Argument(help: "The trace; - is standard input. It may be compressed with gzip, xz or zstd.")
  var file: String

  @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
  var output = "trace.dat"

  @Option(help: "How the new file is compressed.")
  var compression: Compression = .zstd

  func run() throws {
    let trace = try TraceFile(fileAt: file)
    trace.context.printProblems(of: file)
    try TraceDatWriter.convert(
      trace, to: FilePath(output), compression: compression == .zstd ? .zstd : .none)
  }
}
