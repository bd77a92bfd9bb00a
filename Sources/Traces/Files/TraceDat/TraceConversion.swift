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
    let machine = trace.context.machine
    let pageSize = 4096
    var cpus: [Int: SpooledCPU] = [:]
    var names: [Int32: TaskName] = [:]
    try trace.forEach { item throws(TraceFileError) in
      switch item {
      case .event(let event):
        guard event.payload.byteCount > 0 else { break }
        if cpus[event.cpu] == nil { cpus[event.cpu] = try SpooledCPU(machine, pageSize: pageSize) }
        try cpus[event.cpu]?.append(event.time, event.payload)
        if event.taskName != .unknown { names[event.threadID] = event.taskName }
      case .lost(let lost, _, _):
        guard let cpu = lost.cpu else { break }
        if cpus[cpu] == nil { cpus[cpu] = try SpooledCPU(machine, pageSize: pageSize) }
        try cpus[cpu]?.noteLost(lost.count)
      case .damage:
        break
      }
      return .proceed
    }
    var metadata = TraceDatMetadata(trace.context)
    metadata.cpuCount = max(metadata.cpuCount, (cpus.keys.max() ?? -1) + 1)
    for (threadID, name) in names.sorted(by: { $0.key < $1.key }) where threadID != 0 {
      metadata.commandLines += Array("\(threadID) \(trace.context.taskNames.text(of: name) ?? "")\n".utf8)
    }
    var writer = try TraceDatWriter(path, metadata, compression: compression)
    try writer.beginBuffer(clock: trace.context.clock ?? "local", pageSize: pageSize)
    for (cpu, spooled) in cpus.sorted(by: { $0.key < $1.key }) {
      try writer.beginCPU(cpu)
      let pages = try spooled.finish()
      var offset = 0
      while offset < pages.byteCount {
        let end = min(offset + pageSize * 10, pages.byteCount)
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
