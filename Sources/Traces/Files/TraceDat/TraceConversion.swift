public import Files
public import SystemPackage

extension TraceDatWriter {
  /// Writes the tracepoint events of a trace as a trace.dat. Samples that are no tracepoints' are left out; so are
  /// damaged parts.
  ///
  /// Each CPU's pages are kept in a temporary file first, so that one pass over the trace is enough.
  public static func convert(
    _ trace: TraceFile, to path: FilePath, compression: Compression
  ) throws(TraceFileError) {
    let spool = TraceDatSpool(machine: trace.context.machine)
    var names: [Int32: TaskName] = [:]
    try trace.forEach { item throws(TraceFileError) in
      switch item {
      case .event(let event):
        guard event.payload.byteCount > 0 else { break }
        try spool.append(time: event.time, cpu: event.cpu, record: event.payload)
        if event.taskName != .unknown { names[event.threadID] = event.taskName }
      case .lost(let lost, _, _):
        if let cpu = lost.cpu { try spool.noteLost(lost.count, cpu: cpu) }
      case .damage:
        break
      }
      return .proceed
    }
    var metadata = TraceDatMetadata(trace.context)
    for (threadID, name) in names.sorted(by: { $0.key < $1.key }) where threadID != 0 {
      metadata.commandLines += Array("\(threadID) \(trace.context.taskNames.text(of: name) ?? "")\n".utf8)
    }
    try spool.finish(
      to: path, metadata, clock: trace.context.clock ?? "local", compression: compression)
  }
}

/// Events on their way into a trace.dat, which has one CPU after the other: packed into ring-buffer pages, which are kept
/// in a temporary file for each CPU until all are there.
public final class TraceDatSpool {
  private let machine: RecordingMachine
  private var cpus: [Int: SpooledCPU] = [:]

  private static let pageSize = 4096

  public init(machine: RecordingMachine) { self.machine = machine }

  /// Adds an event. Those of one CPU must come in the order of their times. A record that no page can hold is left out.
  public func append(time: UInt64, cpu: Int, record: borrowing RawSpan) throws(TraceFileError) {
    try spooled(cpu).append(time, record)
  }

  /// Says that a CPU's events were lost here.
  ///
  /// - Parameter count: How many; nil where that is not known.
  public func noteLost(_ count: UInt64?, cpu: Int) throws(TraceFileError) { try spooled(cpu).noteLost(count) }

  private func spooled(_ cpu: Int) throws(TraceFileError) -> SpooledCPU {
    if let known = cpus[cpu] { return known }
    let new = try SpooledCPU(machine, pageSize: Self.pageSize)
    cpus[cpu] = new
    return new
  }

  /// Writes the file. The metadata's number of CPUs is raised to those that have events.
  public func finish(
    to path: FilePath, _ metadata: TraceDatMetadata, clock: String, compression: TraceDatWriter.Compression
  ) throws(TraceFileError) {
    var metadata = metadata
    metadata.cpuCount = max(metadata.cpuCount, (cpus.keys.max() ?? -1) + 1)
    var writer = try TraceDatWriter(path, metadata, compression: compression)
    try writer.beginBuffer(clock: clock, pageSize: Self.pageSize)
    for (cpu, spooled) in cpus.sorted(by: { $0.key < $1.key }) {
      try writer.beginCPU(cpu)
      let pages = try spooled.finish()
      var offset = 0
      while offset < pages.byteCount {
        let end = min(offset + Self.pageSize * 10, pages.byteCount)
        try writer.append(pages.bytes.extracting(offset..<end).copied)
        pages.release(0..<offset)
        offset = end
      }
    }
    try writer.finish()
  }
}

/// The pages of one CPU, on their way through a temporary file.
private final class SpooledCPU {
  private var builder: RingBufferPageBuilder
  private let file: FileDescriptor
  private var pending: [UInt8] = []

  init(_ machine: RecordingMachine, pageSize: Int) throws(TraceFileError) {
    builder = RingBufferPageBuilder(machine: machine, pageSize: pageSize)
    file = try TemporaryFile.make()
  }

  deinit { try? file.close() }

  func append(_ time: UInt64, _ record: borrowing RawSpan) throws(TraceFileError) {
    if builder.append(time: time, record: record) { return }
    try finishPage()
    // A record that no page can hold is left out.
    _ = builder.append(time: time, record: record)
  }

  func noteLost(_ count: UInt64?) throws(TraceFileError) {
    try finishPage()
    builder.noteLost(count)
  }

  private func finishPage() throws(TraceFileError) {
    guard !builder.isEmpty else { return }
    pending += builder.takePage()
    if pending.count >= 1 << 20 { try flush() }
  }

  private func flush() throws(TraceFileError) {
    do { _ = try file.writeAll(pending) } catch { throw TraceFileError("cannot write a temporary file: \(error)") }
    pending.removeAll(keepingCapacity: true)
  }

  func finish() throws(TraceFileError) -> MappedMemory {
    try finishPage()
    try flush()
    do { return try MappedMemory.mapping(file) } catch { throw TraceFileError("cannot map: \(error)") }
  }
}
