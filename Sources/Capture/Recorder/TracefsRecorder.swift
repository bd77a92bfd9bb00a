import CLinux
import Glibc
import SystemPackage
import Traces

/// Records tracepoints in an instance of tracefs of its own, which a second process removes however this one ends.
///
/// Pages of the kernel's ring buffer go into the file as they are.
final class TracefsRecorder: EventRecorder {
  let way = RecordingWay.tracefs
  let tracepoints: [Tracepoint]
  private let tracefs: Tracefs
  private let instance: FilePath
  private let guardian: Guardian
  private let keepsEndOnly: Bool
  private var cpus: [RecordedCPU] = []
  private var lost: UInt64 = 0

  init(_ tracefs: Tracefs, _ tracepoints: [Tracepoint], _ request: RecordingRequest) throws(RecordingRefusal) {
    self.tracefs = tracefs
    self.tracepoints = tracepoints
    keepsEndOnly = request.keepsEndOnly
    let group = "\(ProbeSession.prefix)\(getpid())"
    instance = tracefs.root.appending("instances").appending(group)
    // What it removes has to be told before it is made.
    do throws(ProbeRefusal) {
      guardian = try Guardian(
        instance: instance, definitions: tracefs.root.appending("dynamic_events"), group: group, events: [])
    } catch {
      throw .tracefsRefused(errno: EAGAIN)
    }
    guard unsafe mkdir(instance.string, 0o700) == 0 else { throw .tracefsRefused(errno: errno) }
    do throws(Errno) {
      try prepare(request)
      try enable()
    } catch .invalidArgument where tracepoints.contains(where: { $0.filter != nil }) {
      throw .filterRefused
    } catch {
      throw .tracefsRefused(errno: error.rawValue)
    }
  }

  private func prepare(_ request: RecordingRequest) throws(Errno) {
    try write("local", to: "trace_clock")
    try write("\(max(request.bufferSize >> 10, 8))", to: "buffer_size_kb")
    // The pages then say where events are missing.
    try write("1", to: "options/overwrite")
    try write("1", to: "options/event-fork")
    switch request.subject {
    // The command is started by the calling thread, and followed from there.
    case .command: try write("\(clinux_thread())", to: "set_event_pid")
    case .process(let process):
      let threads = directoryEntries(FilePath("/proc/\(process)/task"))
      try write(threads.joined(separator: " "), to: "set_event_pid")
    case .system: break
    }
  }

  private func enable() throws(Errno) {
    for tracepoint in tracepoints {
      let folder = "events/\(tracepoint.system)/\(tracepoint.name)"
      if let filter = tracepoint.filter { try write(filter, to: "\(folder)/filter") }
    }
    let names = directoryEntries(instance.appending("per_cpu")).filter { $0.hasPrefix("cpu") }
    for number in names.compactMap({ Int($0.dropFirst(3)) }).sorted() {
      do throws(ProbeRefusal) {
        cpus.append(try RecordedCPU(number, in: instance))
      } catch {
        throw .ioError
      }
    }
    for tracepoint in tracepoints { try write("1", to: "events/\(tracepoint.system)/\(tracepoint.name)/enable") }
  }

  /// The kernel removes nothing whose files are open, and the guardian waits until it has.
  deinit { cpus.removeAll() }

  private func write(_ text: String, to name: String) throws(Errno) {
    let path = instance.appending(name)
    let file = try OwnedDescriptor { try .open(path, .writeOnly, options: [.closeOnExec]) }
    do { _ = try file.descriptor.writeAll(Array("\(text)\n".utf8)) } catch { throw error as? Errno ?? .ioError }
  }

  var progress: (events: UInt64?, bytes: UInt64, lost: UInt64) {
    (nil, cpus.reduce(0) { $0 &+ $1.byteCount }, lost)
  }

  var descriptors: [FileDescriptor] { [] }

  func drain() throws {
    guard !keepsEndOnly else { return }
    for cpu in cpus { try cpu.drain() }
  }

  func finish(to path: FilePath) throws -> Bool {
    try write("0", to: "tracing_on")
    let statistics = cpus.map { cpu in
      (try? wholeText(instance.appending("per_cpu/cpu\(cpu.number)/stats"))) ?? ""
    }
    let overrun = statistics.reduce(UInt64(0)) { $0 &+ Self.count("overrun", in: $1) }
    if !keepsEndOnly { lost = overrun }
    for cpu in cpus { try cpu.drainByReading() }
    var metadata = TraceDatMetadata(machine: .amd64, cpuCount: (cpus.map(\.number).max() ?? 0) + 1)
    let folder = tracefs.root.appending("events")
    metadata.headerPage = (try? wholeFile(folder.appending("header_page"))) ?? []
    metadata.headerEvent = (try? wholeFile(folder.appending("header_event"))) ?? []
    metadata.systems = tracepoints.formatsBySystem
    metadata.commandLines = (try? wholeFile(tracefs.root.appending("saved_cmdlines"))) ?? []
    metadata.takeKernel()
    metadata.bufferStatistics = statistics
    var writer = try TraceDatWriter(path, metadata, compression: .zstd)
    try writer.beginBuffer(clock: "local", pageSize: RecordedCPU.pageSize)
    for cpu in cpus {
      try writer.beginCPU(cpu.number)
      try cpu.forEachPiece { try writer.append($0) }
    }
    try writer.finish()
    return keepsEndOnly && overrun > 0
  }

  /// A line `NAME: NUMBER` of a buffer's statistics.
  private static func count(_ name: String, in statistics: String) -> UInt64 {
    let line = statistics.split(separator: "\n").first { $0.hasPrefix("\(name): ") }
    return line.flatMap { UInt64($0.dropFirst(name.utf8.count + 2)) } ?? 0
  }
}
