import Capture
import KernelTypes
import Traces

/// Prints what probes record as it comes, or the last lines of it at the end.
struct LiveProbeOutput {
  private let probes: [FunctionProbe]
  /// How many lines to print at the end, instead of all at once.
  private let last: Int?
  /// What is known of the recording, and what prints it, from the first arrival on.
  private var trace: GrowingTrace?
  private var printer: ProbePrinter?
  private var lastLines: [String] = []
  private var isReaderGone = false

  init(_ probes: [FunctionProbe], last: Int?) {
    self.probes = probes
    self.last = last
  }

  /// Takes pages, and prints what they complete.
  mutating func take(_ arrived: ArrivedPages, from session: ProbeSession) throws -> Continuation {
    guard !isReaderGone else { return .enough }
    if trace == nil { try begin(session) }
    for cpu in arrived.cpus { trace?.add(cpu.pages, cpu: cpu.number) }
    if !arrived.cpus.isEmpty { trace?.add(commandLines: session.commandLines) }
    var text = ""
    trace?.forEach(until: arrived.completeUntil) { item in
      guard let lines = printer?.text(of: item) else { return }
      if last == nil { text += lines + "\n" } else { lastLines.append(lines) }
    }
    if let last { lastLines.removeFirst(max(lastLines.count - last, 0)) }
    print(text)
    return isReaderGone ? .enough : .more
  }

  /// Prints what is left, and how often each function was called.
  mutating func finish() {
    let counts = probes.map { "\($0.function) \(printer?.counts[$0.function] ?? 0)" }
    print(lastLines.map { $0 + "\n" }.joined() + "\ncalls: \(counts.joined(separator: ", "))\n")
  }

  private mutating func begin(_ session: ProbeSession) throws {
    let trace = try GrowingTrace(session.metadata())
    printer = ProbePrinter(trace.context, group: session.group, probes)
    self.trace = trace
  }

  private mutating func print(_ text: String) {
    guard !text.isEmpty, !isReaderGone else { return }
    isReaderGone = !StandardOutput.write(Array(text.utf8).span)
  }
}
