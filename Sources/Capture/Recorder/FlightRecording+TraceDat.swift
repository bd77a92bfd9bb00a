public import Files
public import SystemPackage
public import Traces

extension FlightRecording {
  /// Writes the recording as a trace.dat that trace-cmd and KernelShark open.
  ///
  /// Of the host it names the kernel's release alone.
  public func write(to path: FilePath, kernelRelease: String?) throws(TraceFileError) {
    let spool = TraceDatSpool(machine: .amd64)
    for sample in samples {
      if sample.followsLoss { try spool.noteLost(nil, cpu: sample.cpu) }
      try spool.append(time: sample.time, cpu: sample.cpu, record: sample.payload.span.record)
    }
    var metadata = TraceDatMetadata.amd64(cpuCount: 1)
    metadata.systems = tracepoints.formatsBySystem
    for (thread, name) in threadNames.sorted(by: { $0.key < $1.key }) where thread != 0 {
      metadata.commandLines += Array("\(thread) \(name)\n".utf8)
    }
    metadata.uname = kernelRelease.map { "Linux ? \($0) x86_64" }
    // perf's clock is the one that tracefs calls local: sched_clock.
    try spool.finish(to: path, metadata, clock: "local", compression: .zstd)
  }

  /// Reads what ``write(to:kernelRelease:)`` wrote.
  ///
  /// - Parameter limit: How many events are taken at most, the last ones; there may be any number in the file.
  public init(_ trace: TraceFile, limit: Int) {
    let context = trace.context
    var samples: [PerfSample] = []
    var names: [Int32: String] = [:]
    var followsLoss = false
    var cursor = trace.cursor()
    cursor.startAtLast(limit)
    cursor.forEach { item in
      if case .lost = item { followsLoss = true }
      guard case .event(let event) = item, event.payload.byteCount > 0 else { return .proceed }
      var sample = PerfSample(
        time: event.time, cpu: event.cpu, threadID: event.threadID, payload: event.payload.copied[...])
      sample.followsLoss = followsLoss
      followsLoss = false
      samples.append(sample)
      if names[event.threadID] == nil { names[event.threadID] = context.taskNames.text(of: event.taskName) }
      return samples.count < limit ? .proceed : .stop
    }
    let tracepoints = context.events.compactMap { event in
      event.id.map {
        Tracepoint(
          system: event.system, name: event.name, id: UInt64($0),
          format: String(decoding: event.formatText, as: UTF8.self), filter: nil)
      }
    }
    self.init(
      tracepoints: tracepoints, samples: samples, threadNames: names, isCut: true,
      account: Account(
        choice: EventChoice([], reason: "the recording was read from a file"), shortage: nil,
        met: UInt64(samples.count), dropped: 0, memory: 0))
  }
}

extension [Tracepoint] {
  /// The `format` texts by system, as a trace.dat has them.
  var formatsBySystem: [(name: String, formats: [[UInt8]])] {
    var systems: [(name: String, formats: [[UInt8]])] = []
    for tracepoint in self {
      let format = Array<UInt8>(tracepoint.format.utf8)
      if let index = systems.firstIndex(where: { $0.name == tracepoint.system }) {
        systems[index].formats.append(format)
      } else {
        systems.append((tracepoint.system, [format]))
      }
    }
    return systems
  }
}
