import Glibc
public import KernelTypes
public import SystemPackage
public import Traces

/// Probes on functions and kvm's tracepoints, recorded together in a tracefs instance of their own.
///
/// Everything that is made has this process's ID in its name (``group``), and is removed by a process of its own when
/// this one ends, however it ends: `clinux_guard_tracing`. What others made is not looked at.
public final class ProbeSession {
  public let group: String
  private let tracefs: FilePath
  private let instance: FilePath
  private let events: [String]
  private let tracepoints: [(system: String, name: String)]
  private let guardian: Guardian
  private let keepsRecording: Bool
  private var cpus: [RecordedCPU] = []

  /// What the names of instances and groups begin with; the process's ID follows.
  public static let prefix = "inquest_"
  /// KiB of ring buffer for each CPU.
  private static let bufferSize = 8192

  /// Defines the probes; nothing is recorded yet.
  ///
  /// - Parameters:
  ///   - tracepoints: of kvm and kvmmmu, to record with them; those that this kernel lacks are passed over.
  ///   - keepsRecording: whether ``write(to:)`` will be asked for.
  public init(
    _ probes: [FunctionProbe], tracepoints wanted: Set<String>, keepsRecording: Bool
  ) throws(ProbeRefusal) {
    let definitions = try ProbeDefinitions()
    let tracefs = definitions.tracefs
    let group = "\(Self.prefix)\(getpid())"
    self.group = group
    self.tracefs = tracefs
    self.keepsRecording = keepsRecording
    instance = tracefs.appending("instances").appending(group)
    events = probes.flatMap(\.events)
    tracepoints = ["kvm", "kvmmmu"].flatMap { system in
      directoryEntries(tracefs.appending("events").appending(system)).filter(wanted.contains).map { (system, $0) }
    }
    guardian = try Guardian(instance: instance, definitions: definitions.file, group: group, events: events)
    guard unsafe mkdir(instance.string, 0o700) == 0 else {
      throw .system(doing: "making \(instance)", errno: errno)
    }
    try write("mono", to: "trace_clock")
    try write("\(Self.bufferSize)", to: "buffer_size_kb")
    for probe in probes { try definitions.define(probe, in: group) }
    for probe in probes where probe.wantsStack {
      try write("stacktrace", to: "events/\(group)/\(probe.function)/trigger")
    }
  }

  /// The kernel removes nothing whose files are open, and the guardian waits until it has.
  deinit { cpus.removeAll() }

  /// Begins to record what these threads do, and what they start.
  public func start(threads: [Int32]) throws(ProbeRefusal) {
    try write("1", to: "options/event-fork")
    try write(threads.map(String.init).joined(separator: " "), to: "set_event_pid")
    for tracepoint in tracepoints { try write("1", to: "events/\(tracepoint.system)/\(tracepoint.name)/enable") }
    for event in events { try write("1", to: "events/\(group)/\(event)/enable") }
    let names = directoryEntries(instance.appending("per_cpu")).filter { $0.hasPrefix("cpu") }
    for number in names.compactMap({ Int($0.dropFirst(3)) }).sorted() {
      cpus.append(try RecordedCPU(number, in: instance))
    }
  }

  /// Takes what has been recorded out of the kernel's buffers: whole pages.
  func drain() throws(ProbeRefusal) -> [(number: Int, pages: [UInt8])] {
    var arrived: [(number: Int, pages: [UInt8])] = []
    for cpu in cpus {
      let pages = cpu.arrivedPages()
      if keepsRecording { try cpu.keep(pages) }
      if !pages.isEmpty { arrived.append((cpu.number, pages)) }
    }
    return arrived
  }

  /// Ends the recording; what was recorded until then can still be drained.
  func stop() throws(ProbeRefusal) { try write("0", to: "tracing_on") }

  /// Writes all that was recorded as a trace.dat.
  public func write(to path: FilePath) throws {
    var writer = try TraceDatWriter(path, metadata(), compression: .zstd)
    try writer.beginBuffer(clock: "mono", pageSize: RecordedCPU.pageSize)
    for cpu in cpus {
      try writer.beginCPU(cpu.number)
      try cpu.forEachPiece { try writer.append($0) }
    }
    try writer.finish()
  }

  /// The names of threads as far as the kernel knows them now.
  public var commandLines: [UInt8] { (try? wholeFile(tracefs.appending("saved_cmdlines"))) ?? [] }

  /// What describes the recording, as it is now.
  public func metadata() -> TraceDatMetadata {
    let cpuCount = directoryEntries(instance.appending("per_cpu")).count { $0.hasPrefix("cpu") }
    var metadata = TraceDatMetadata(machine: .amd64, cpuCount: cpuCount)
    let folder = tracefs.appending("events")
    func format(_ path: String) -> [UInt8] { (try? wholeFile(folder.appending(path).appending("format"))) ?? [] }
    metadata.headerPage = (try? wholeFile(folder.appending("header_page"))) ?? []
    metadata.headerEvent = (try? wholeFile(folder.appending("header_event"))) ?? []
    metadata.ftraceFormats = [format("ftrace/kernel_stack")]
    metadata.systems = ["kvm", "kvmmmu"].map { system in
      (system, tracepoints.filter { $0.system == system }.map { format("\(system)/\($0.name)") })
    }
    metadata.systems.append((group, events.map { format("\(group)/\($0)") }))
    metadata.takeKernel()
    metadata.commandLines = commandLines
    metadata.clocks = "[mono]"
    metadata.bufferStatistics = cpus.map { cpu in
      (try? wholeText(instance.appending("per_cpu/cpu\(cpu.number)/stats"))) ?? ""
    }
    return metadata
  }

  // MARK: tracefs

  private func write(_ text: String, to name: String) throws(ProbeRefusal) {
    let path = instance.appending(name)
    do throws(Errno) {
      try appendLine(text, to: path)
    } catch {
      throw .system(doing: "writing \(text) to \(path)", errno: error.rawValue)
    }
  }
}

extension ProbeSession {
  /// The names of instances and groups that an Inquest which is no more has left behind.
  ///
  /// Of one that is still there, the kernel would not let anything be removed: its files are in use.
  public static func leftovers() -> [String] {
    guard let tracefs = try? ProbeDefinitions.findTracefs() else { return [] }
    let names = directoryEntries(tracefs.appending("instances")) + directoryEntries(tracefs.appending("events"))
    return Set(names.filter { $0.hasPrefix(prefix) }).sorted().filter { name in
      let number = name.dropFirst(prefix.count).prefix(while: \.isNumber)
      guard let process = Int32(number), process != getpid() else { return false }
      return kill(process, 0) != 0 && errno == ESRCH
    }
  }

  /// Removes what ``leftovers()`` found; gives what could not be removed.
  public static func removeLeftovers() throws(ProbeRefusal) -> [String] {
    let definitions = try ProbeDefinitions()
    let tracefs = definitions.tracefs
    for name in leftovers() {
      let events = directoryEntries(tracefs.appending("events").appending(name))
        .filter { $0 != "enable" && $0 != "filter" }
      let instance = tracefs.appending("instances").appending(name)
      _ = try Guardian(instance: instance, definitions: definitions.file, group: name, events: events)
    }
    return leftovers()
  }
}
