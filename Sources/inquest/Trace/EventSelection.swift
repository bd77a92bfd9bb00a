import ArgumentParser
import Traces

/// Which events of a trace a command is about.
struct EventSelection: Sendable {
  struct Options: ParsableArguments {
    @Option(
      name: [.customShort("e"), .long],
      help: ArgumentHelp(
        "Only these events: a name, a system, or system:name; * and ? stand for any text and any character.",
        valueName: "event"))
    var event: [String] = []

    @Option(help: ArgumentHelp("Only these vCPUs' events, by the number KVM gives them.", valueName: "n"))
    var vcpu: [Int] = []

    @Option(help: ArgumentHelp("Only events of threads of this name; * and ? as above.", valueName: "name"))
    var task: [String] = []

    @Option(help: ArgumentHelp("Only events of this thread.", valueName: "tid"))
    var pid: [Int32] = []

    @Option(help: ArgumentHelp("Only events recorded on this CPU.", valueName: "n"))
    var cpu: [Int] = []

    @Option(help: ArgumentHelp("Only events from this time on, in seconds as the report shows it.", valueName: "time"))
    var from: Time?

    @Option(help: ArgumentHelp("Only events up to this time.", valueName: "time"))
    var to: Time?

    @Option(
      help: ArgumentHelp("Only events whose guest instruction pointer is in this range, A-B or A.", valueName: "range"))
    var rip: AddressRange?

    var cpus: Set<Int>? { cpu.isEmpty ? nil : Set(cpu) }
  }

  /// A time in seconds, with up to nine places.
  struct Time: ExpressibleByArgument {
    var nanoseconds: UInt64

    init?(argument: String) {
      let parts = argument.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
      guard let first = parts.first, let seconds = UInt64(first), seconds < 1 << 33 else { return nil }
      var fraction = parts.count > 1 ? String(parts[1]) : ""
      guard fraction.utf8.count <= 9, fraction.utf8.allSatisfy({ $0 &- 48 < 10 }) else { return nil }
      while fraction.utf8.count < 9 { fraction += "0" }
      nanoseconds = seconds * 1_000_000_000 + (UInt64(fraction) ?? 0)
    }
  }

  /// `A-B`, both included, or one address; in hexadecimal, with or without `0x`.
  struct AddressRange: ExpressibleByArgument {
    var range: ClosedRange<UInt64>

    init?(argument: String) {
      let bounds = argument.split(separator: "-", omittingEmptySubsequences: false).map { text in
        UInt64(text.hasPrefix("0x") ? text.dropFirst(2) : text, radix: 16)
      }
      guard let low = bounds.first ?? nil, bounds.count <= 2, let high = bounds.last ?? nil, low <= high else {
        return nil
      }
      range = low...high
    }
  }

  let earliest: UInt64
  let latest: UInt64
  /// Whether only the latest time limits what is selected.
  let takesAll: Bool
  /// Whether an event is selected by what came before it, or ends what is selected.
  let dependsOnOrder: Bool
  private let threads: Set<Int32>
  private let taskPatterns: [String]
  private let vcpus: Set<Int>
  private let rip: ClosedRange<UInt64>?
  /// For each event whether its name is selected, and where its rip and vCPU are.
  private var events: [Event] = []
  /// What is known of names and threads so far.
  private var taskIsSelected: [TaskName: Bool] = [:]
  private var vcpuOfThread: [Int32: Int] = [:]
  private let taskNames: TaskNames

  private struct Event: Sendable {
    var isSelected: Bool
    var rip: FieldLocation?
    var vcpu: FieldLocation?
  }

  init(_ options: Options, _ context: TraceContext) {
    earliest = options.from?.nanoseconds ?? 0
    // The report shows microseconds: all events that it shows with this time belong to it.
    latest = options.to.map { $0.nanoseconds &+ 999 } ?? .max
    threads = Set(options.pid)
    taskPatterns = options.task
    vcpus = Set(options.vcpu)
    rip = options.rip?.range
    taskNames = context.taskNames
    dependsOnOrder = earliest > 0 || latest < .max || !taskPatterns.isEmpty || !vcpus.isEmpty
    takesAll =
      earliest == 0 && options.event.isEmpty && threads.isEmpty && taskPatterns.isEmpty && vcpus.isEmpty && rip == nil
    guard !takesAll else { return }
    for (index, event) in context.events.enumerated() {
      var entry = Event(isSelected: options.event.isEmpty || options.event.contains { Self.matches(event, $0) })
      if rip != nil || !vcpus.isEmpty, case .success(let format) = context.events.format(at: index) {
        entry.rip = format.location(of: "guest_rip") ?? format.location(of: "rip")
        entry.vcpu = format.location(of: "vcpu_id")
      }
      events.append(entry)
    }
  }

  private static func matches(_ event: RecordedEvent, _ pattern: String) -> Bool {
    Glob.matches(event.name, pattern) || Glob.matches(event.system, pattern)
      || Glob.matches("\(event.system):\(event.name)", pattern)
  }

  @inline(__always)
  mutating func includes(_ event: borrowing TraceEvent) -> Bool { takesAll || chooses(event) }

  private mutating func chooses(_ event: borrowing TraceEvent) -> Bool {
    let index = event.event
    let known = index.map { events[$0] }
    // Whose thread a vCPU is, is learned from every event that says it.
    if !vcpus.isEmpty, !isOfSelectedVCPU(event, known?.vcpu) { return false }
    guard event.time >= earliest else { return false }
    guard known?.isSelected ?? events.allSatisfy(\.isSelected) else { return false }
    guard threads.isEmpty || threads.contains(event.threadID) else { return false }
    guard taskPatterns.isEmpty || isOfSelectedTask(event.taskName) else { return false }
    if let rip {
      guard let value = known?.rip?.integer(in: event.payload), rip.contains(value) else { return false }
    }
    return true
  }

  private mutating func isOfSelectedVCPU(_ event: borrowing TraceEvent, _ location: FieldLocation?) -> Bool {
    if let value = location?.integer(in: event.payload) {
      let vcpu = Int(truncatingIfNeeded: value & 0xffff_ffff)
      vcpuOfThread[event.threadID] = vcpu
      return vcpus.contains(vcpu)
    }
    return vcpuOfThread[event.threadID].map(vcpus.contains) ?? false
  }

  private mutating func isOfSelectedTask(_ name: TaskName) -> Bool {
    if let known = taskIsSelected[name] { return known }
    let text = taskNames.text(of: name)
    let isSelected = text.map { text in taskPatterns.contains { Glob.matches(text, $0) } } ?? false
    taskIsSelected[name] = isSelected
    return isSelected
  }
}
