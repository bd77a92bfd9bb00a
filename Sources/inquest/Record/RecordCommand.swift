import ArgumentParser
import Capture
import FoundationEssentials
import Glibc
import SystemPackage

/// `inquest record`: tracepoints into a trace.dat.
struct RecordCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "record",
    abstract: "Record tracepoints into a trace.dat, which trace-cmd and KernelShark open too.",
    discussion: """
      inquest record -- qemu-system-x86_64 -accel kvm -kernel my.elf
      inquest record -e 'kvm:kvm_exit' -e 'kvm_pio if port==0x64' --pid 4711
      inquest record -a -e 'sched:*' --flight -o end.dat

      All of kvm and kvmmmu unless told otherwise; inquest events lists what there is. Ends with the command or the \
      process, or by Ctrl-C. Then inquest report, stat and examine read the file.
      """)

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      """
      Record these events; may be given again. Patterns may hold * and ?, and the kernel's own filters: \
      -e 'kvm_emulate_insn if failed==1'.
      """, valueName: "event"), transform: RecorderOptions.selector)
  var event: [TracepointSelector] = []

  @Option(
    help: ArgumentHelp("The kernel's filter for those events that have none of their own.", valueName: "condition"))
  var filter: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
  var output = "trace.dat"

  @Option(name: [.customShort("b"), .long], help: ArgumentHelp("The buffer of each processor.", valueName: "KiB"))
  var bufferSize = 4096

  @Flag(help: "Keep only the end: what fits into the buffers.")
  var flight = false

  @Option(help: ArgumentHelp("Record this process, and what it starts, until it ends.", valueName: "pid"))
  var pid: Int32?

  @Flag(name: [.customShort("a"), .long], help: "Record everybody.")
  var all = false

  @Option(help: "Use perf_event_open or tracefs; by default tracefs where the kernel refuses the other.")
  var through: Way?

  enum Way: String, ExpressibleByArgument, CaseIterable {
    case perf
    case tracefs
  }

  @Argument(parsing: .postTerminator, help: ArgumentHelp("The command to record, after --.", valueName: "command …"))
  var command: [String] = []

  func validate() throws {
    guard [!command.isEmpty, pid != nil, all].count(where: { $0 }) == 1 else {
      throw ValidationError("what is to be recorded: a command after --, --pid PID, or -a for everybody")
    }
    guard (64...4_194_304).contains(bufferSize) else {
      throw ValidationError("--buffer-size takes 64 to 4194304 (KiB)")
    }
    if let pid, pid <= 0 { throw ValidationError("--pid takes the number of a process") }
  }

  func run() throws {
    let progress = ProgressLine()
    let summary: RecordingSummary
    do {
      summary = try request.run(to: FilePath(output)) { progress.show($0) }
    } catch let refusal as RecordingRefusal {
      progress.clear()
      let remedy = refusal.remedy.map { "; \($0)" } ?? ""
      throw Failure("nothing can be recorded: \(refusal.lack)\(remedy)")
    } catch {
      progress.clear()
      throw Failure("\(error)")
    }
    progress.clear()
    tell(summary)
    switch summary.end {
    case .exited(let status)?: throw ExitCode(status)
    case .signalled(let signal)?: throw ExitCode(128 + signal)
    case nil: return
    }
  }

  private var request: RecordingRequest {
    let usual = ["kvm", "kvmmmu"].map { TracepointSelector(system: $0, name: "*") }
    let selectors = (event.isEmpty ? usual : event).map { selector in
      TracepointSelector(system: selector.system, name: selector.name, filter: selector.filter ?? filter)
    }
    let subject: RecordingRequest.Subject = pid.map { .process($0) } ?? (all ? .system : .command(command))
    var request = RecordingRequest(selectors, of: subject)
    request.bufferSize = bufferSize << 10
    request.keepsEndOnly = flight
    request.way = through.flatMap { RecordingWay(rawValue: $0.rawValue) }
    return request
  }

  private func tell(_ summary: RecordingSummary) {
    let progress = summary.progress
    let count = progress.events.map { "\($0) events" } ?? "\(progress.bytes >> 10) KiB"
    let lost = progress.lost > 0 ? "; \(progress.lost) were lost: a larger -b, or fewer events" : ""
    let cut = summary.isCut ? "; older ones were overwritten, as --flight has it" : ""
    standardError.write(
      "inquest: \(output): \(count) of \(summary.tracepoints.count) kinds in \(progress.time.inSeconds) s\(lost)\(cut)\n"
    )
  }
}

/// How far a long recording has come, on one line of a terminal.
private final class ProgressLine {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var last = ContinuousClock.now
  private var isShown = false

  func show(_ progress: RecordingProgress) {
    guard isTerminal, .now - last >= .milliseconds(500) else { return }
    last = .now
    isShown = true
    let events = progress.events.map { "\($0) events, " } ?? ""
    let lost = progress.lost > 0 ? ", \(progress.lost) lost" : ""
    let bytes = progress.bytes > 0 ? "\(progress.bytes >> 10) KiB, " : ""
    standardError.write("\r\u{1B}[Kinquest: \(events)\(bytes)\(progress.time.inSeconds) s\(lost)")
  }

  func clear() {
    if isShown { standardError.write("\r\u{1B}[K") }
  }
}

extension Duration {
  /// With one digit after the point.
  fileprivate var inSeconds: String {
    let tenths = Int(self / .milliseconds(100))
    return "\(tenths / 10).\(tenths % 10)"
  }
}
