import ArgumentParser
import Dispatch
import FoundationEssentials
import Glibc
import SystemPackage
import Traces

/// `inquest report TRACE`: prints a trace as text.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Print a trace (trace.dat or perf.data) as text, filtered, fast.",
    discussion: """
      inquest report trace.dat --event 'kvm_mmu_*' --last 20
      inquest report perf.data --format json --rip 0x100000-0x1fffff

      The lines are those of `trace-cmd report -N` for a trace.dat and those of `perf script` for a perf.data, with the \
      events printed as their own kernel prints them. Events that the recording lost are shown in their place.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case traceCmd = "trace-cmd"
    case perfScript = "perf-script"
    case json

    var layout: TracePrinter.Layout? {
      switch self {
      case .text: nil
      case .traceCmd: .traceCmd
      case .perfScript: .perfScript
      case .json: .json
      }
    }
  }

  @Argument(help: "The trace; - is standard input. It may be compressed with gzip, xz or zstd.")
  var file: String

  @OptionGroup var selection: EventSelection.Options

  @Option(help: ArgumentHelp("Print only the last of the selected events, this many.", valueName: "n"))
  var last: Int?

  @Option(help: "text: as the tool that recorded it prints it; json: one object a line; or a tool's lines.")
  var format: Format = .text

  func validate() throws {
    if let last, last < 0 { throw ValidationError("--last takes a number of events, not \(last)") }
  }

  func run() throws {
    let trace = try TraceFile(fileAt: file)
    trace.context.printProblems(of: file)
    if let text = try trace.latencyText() {
      _ = StandardOutput.write(text.span)
      return
    }
    var source = TraceSource(
      cursor: trace.cursor(cpus: selection.cpus), selection: EventSelection(selection, trace.context))
    if let last { source.startAtLast(last, of: trace, cpus: selection.cpus) } else { source.startAtFrom() }
    let context = trace.context
    let layout = format.layout
    let heading = TracePrinter(context, layout: layout).heading
    guard StandardOutput.write(Array(heading.utf8).span) else { return }
    try OrderedOutput.run(
      source, workers: min(ProcessInfo.processInfo.activeProcessorCount, 16),
      read: { source, batch throws(TraceFileError) in try source.fill(&batch) },
      makePrinter: { PrinterBox(context, layout) },
      print: { printer, batch, text in printer.printer.append(batch, to: &text) },
      write: { text in StandardOutput.write(text) })
  }
}

/// A worker's own printer.
private final class PrinterBox {
  var printer: TracePrinter

  init(_ context: TraceContext, _ layout: TracePrinter.Layout?) { printer = TracePrinter(context, layout: layout) }
}

extension TraceContext {
  /// Says on standard error what is wrong with the file.
  func printProblems(of file: String) {
    for problem in problems {
      standardError.write("inquest: \(file): \(problem)\n")
    }
  }
}

/// Standard output, written to directly.
enum StandardOutput {
  /// False when nobody reads any more, or nothing can be written.
  static func write(_ bytes: Span<UInt8>) -> Bool {
    // Without this, writing to a closed pipe ends the process with a signal.
    signal(SIGPIPE, SIG_IGN)
    do {
      // The bytes are only read, and for the time of the call.
      _ = try unsafe bytes.withUnsafeBytes { try unsafe FileDescriptor.standardOutput.writeAll($0) }
      return true
    } catch Errno.brokenPipe {
      return false
    } catch {
      standardError.write("inquest: cannot write: \(error)\n")
      return false
    }
  }
}
