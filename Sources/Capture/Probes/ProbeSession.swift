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
    let tracefs = try Self.findTracefs()
    let definitionsFile = try Self.definitionsFile(of: tracefs)
    let group = "\(Self.prefix)\(getpid())"
    self.group = group
    self.tracefs = tracefs
    self.keepsRecording = keepsRecording
    instance = tracefs.appending("instances").appending(group)
    let mechanisms = Self.mechanisms(of: tracefs)
    events = probes.flatMap(\.events)
    tracepoints = ["kvm", "kvmmmu"].flatMap { system in
      directoryEntries(tracefs.appending("events").appending(system)).filter(wanted.contains).map { (system, $0) }
    }
    guardian = try Guardian(instance: instance, definitions: definitionsFile, group: group, events: events)
    guard unsafe mkdir(instance.string, 0o700) == 0 else {
      throw .system(doing: "making \(instance)", errno: errno)
    }
    try write("mono", to: "trace_clock")
    try write("\(Self.bufferSize)", to: "buffer_size_kb")
    for probe in probes { try define(probe, by: mechanisms, in: definitionsFile) }
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

  private static func findTracefs() throws(ProbeRefusal) -> FilePath {
    do throws(RecordingRefusal) {
      return try Tracefs().root
    } catch .tracefsUnreadable {
      throw .forbidden
    } catch {
      throw .tracefsNotMounted
    }
  }

  /// `dynamic_events`, since Linux 4.20, or `kprobe_events`.
  private static func definitionsFile(of tracefs: FilePath) throws(ProbeRefusal) -> FilePath {
    for name in ["dynamic_events", "kprobe_events"] {
      let path = tracefs.appending(name)
      guard unsafe access(path.string, F_OK) == 0 else { continue }
      guard unsafe access(path.string, W_OK) == 0 else { throw .forbidden }
      // dynamic_events may be there for other kinds of events only.
      guard unsafe access(tracefs.appending("kprobe_events").string, F_OK) == 0 else { break }
      return path
    }
    throw .noProbes
  }

  /// fprobes, where the kernel has events of them (Linux 6.5: README of tracefs), take less time at a function's entry than
  /// kprobes, and never miss a return for lack of room; kprobes reach functions that ftrace does not.
  private static func mechanisms(of tracefs: FilePath) -> [FunctionProbe.Mechanism] {
    let description = (try? wholeText(tracefs.appending("README"))) ?? ""
    return description.contains("<func-name>[%return]") ? [.fprobe, .kprobe] : [.kprobe]
  }

  /// Defines the events of a probe, each by the first mechanism that the kernel accepts for it.
  private func define(
    _ probe: FunctionProbe, by mechanisms: [FunctionProbe.Mechanism], in file: FilePath
  ) throws(ProbeRefusal) {
    for event in probe.events {
      var refused: Errno?
      for mechanism in mechanisms {
        guard let line = probe.definition(of: event, group: group, by: mechanism) else { continue }
        do throws(Errno) {
          try Self.append(line, to: file)
          refused = nil
          break
        } catch {
          refused = error
        }
      }
      if let refused { throw .refused(function: probe.function, reason: refusal(refused)) }
    }
  }

  private func write(_ text: String, to name: String) throws(ProbeRefusal) {
    let path = instance.appending(name)
    do throws(Errno) {
      try Self.append(text, to: path)
    } catch {
      throw .system(doing: "writing \(text) to \(path)", errno: error.rawValue)
    }
  }

  private static func append(_ text: String, to path: FilePath) throws(Errno) {
    let file = try OwnedDescriptor { try .open(path, .writeOnly, options: [.append, .closeOnExec]) }
    do { _ = try file.descriptor.writeAll(Array("\(text)\n".utf8)) } catch { throw error as? Errno ?? .ioError }
  }

  /// What the kernel says of the definition it refused, in words.
  private func refusal(_ error: Errno) -> String {
    let log = (try? wholeText(tracefs.appending("error_log"))) ?? ""
    let message = log.split(separator: "\n").last { $0.contains("error: ") }
    return message?.split(separator: ": ").last.map(String.init) ?? error.description
  }
}

extension ProbeSession {
  /// The names of instances and groups that an Inquest which is no more has left behind.
  ///
  /// Of one that is still there, the kernel would not let anything be removed: its files are in use.
  public static func leftovers() -> [String] {
    guard let tracefs = try? findTracefs() else { return [] }
    let names = directoryEntries(tracefs.appending("instances")) + directoryEntries(tracefs.appending("events"))
    return Set(names.filter { $0.hasPrefix(prefix) }).sorted().filter { name in
      guard let process = Int32(name.dropFirst(prefix.count)), process != getpid() else { return false }
      return kill(process, 0) != 0 && errno == ESRCH
    }
  }

  /// Removes what ``leftovers()`` found; gives what could not be removed.
  public static func removeLeftovers() throws(ProbeRefusal) -> [String] {
    let tracefs = try findTracefs()
    let definitions = try definitionsFile(of: tracefs)
    for name in leftovers() {
      let events = directoryEntries(tracefs.appending("events").appending(name))
        .filter { $0 != "enable" && $0 != "filter" }
      let instance = tracefs.appending("instances").appending(name)
      _ = try Guardian(instance: instance, definitions: definitions, group: name, events: events)
    }
    return leftovers()
  }
}
