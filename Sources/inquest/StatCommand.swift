import ArgumentParser
import KVM
import SystemPackage
import Traces
import X86

/// `inquest stat TRACE`: what the guests in a trace did, in numbers.
struct StatCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stat",
    abstract: "Count a trace's VM exits by reason, with the times that KVM and QEMU took for them.",
    discussion: """
      inquest stat trace.dat

      The time of an exit is that from kvm_exit to the next kvm_entry of the vCPU: what the guest waited. Where KVM does \
      not trace exits (kvm_pvm), the exits to userspace and the emulated instructions are counted.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
  }

  @Argument(help: "The trace; - is standard input. It may be compressed with gzip, xz or zstd.")
  var file: String

  @OptionGroup var selection: EventSelection.Options

  @Option(help: ArgumentHelp("How many addresses, ports and MSRs to list; 0 for all.", valueName: "n"))
  var top = 20

  @Option var format: Format = .text

  func validate() throws {
    if top < 0 { throw ValidationError("--top takes a number of lines, not \(top)") }
  }

  func run() throws {
    let trace = try TraceFile(fileAt: file)
    let context = trace.context
    context.printProblems(of: file)
    var source = TraceSource(cursor: trace.cursor(cpus: selection.cpus), selection: EventSelection(selection, context))
    source.startAtFrom()
    var statistics = TraceStatistics(context)
    source.forEach { item in
      statistics.add(item)
      return .proceed
    }
    statistics.finish()
    let report = StatisticsReport(statistics, context, top: top)
    _ = StandardOutput.write(Array((format == .json ? report.json : report.text).utf8).span)
  }
}
