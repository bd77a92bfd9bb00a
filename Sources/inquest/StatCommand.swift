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
    let statistics = statistics(of: trace)
    let report = StatisticsReport(statistics, context, top: top)
    _ = StandardOutput.write(Array((format == .json ? report.json : report.text).utf8).span)
  }

  private func statistics(of trace: TraceFile) -> TraceStatistics {
    let selection = EventSelection(selection, trace.context)
    let cpus = self.selection.cpus
    guard selection.dependsOnOrder else {
      return trace.reduce(cpus: cpus, into: Selected(selection, TraceStatistics(trace.context))) { selected, item in
        selected.add(item)
      } join: {
        $0.statistics.join($1.statistics)
      }
      .statistics
    }
    var source = TraceSource(cursor: trace.cursor(cpus: cpus), selection: selection)
    source.startAtFrom()
    var statistics = TraceStatistics(trace.context)
    source.forEach { item in
      statistics.add(item)
      return .proceed
    }
    return statistics
  }
}

/// The selected events of a part of a trace, counted.
private struct Selected: Sendable {
  private var selection: EventSelection
  var statistics: TraceStatistics

  init(_ selection: EventSelection, _ statistics: TraceStatistics) {
    self.selection = selection
    self.statistics = statistics
  }

  @inline(__always)
  mutating func add(_ item: borrowing TraceItem) {
    switch item {
    case .event(let event): if selection.includes(event) { statistics.add(event) }
    case .lost, .damage: statistics.add(item)
    }
  }
}
