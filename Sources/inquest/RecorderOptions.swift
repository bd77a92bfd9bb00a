import ArgumentParser
import Capture

/// What of KVM a run records.
struct RecorderOptions: ParsableArguments {
  @Flag(inversion: .prefixedNo, help: "Record KVM's tracepoints.")
  var trace = true

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      """
      Record these events instead of those that suit this host; may be given again. Patterns may hold * and ?, and the \
      kernel's own filters: -e 'kvm:*' -e 'kvm_emulate_insn if failed==1'.
      """, valueName: "event"), transform: selector)
  var event: [TracepointSelector] = []

  @Option(
    help: ArgumentHelp("Memory for the recorder, in MiB for each of this machine's processors.", valueName: "MiB"))
  var traceMemory = 16

  static func selector(_ text: String) throws -> TracepointSelector {
    guard let selector = TracepointSelector(text) else {
      throw ValidationError("--event takes [SYSTEM:]NAME [if FILTER], not \(text)")
    }
    return selector
  }

  func validate() throws {
    guard (1...4096).contains(traceMemory) else { throw ValidationError("--trace-memory takes 1 to 4096 (MiB)") }
    if !trace, !event.isEmpty { throw ValidationError("--no-trace leaves nothing for --event to record") }
  }

  func apply(to options: inout GuestRun.Options) {
    options.recordsKVM = trace
    options.recorderMemoryPerCPU = traceMemory << 20
    if !event.isEmpty { options.events = EventChoice(event, reason: "chosen with --event") }
  }
}
