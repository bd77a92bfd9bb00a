import Files
import Glibc
import SystemPackage
import Traces

/// Records tracepoints through perf_event_open: a ring for each CPU.
final class PerfRecorder: EventRecorder {
  let way = RecordingWay.perf
  let tracepoints: [Tracepoint]
  private var streams: [(cpu: Int, stream: PerfStream)] = []
  private var rings: [PerfRing] = []
  private let spool = TraceDatSpool(machine: .amd64)
  private var names: [Int32: String] = [:]
  private var isFinished = false
  private var events: UInt64 = 0
  private var bytes: UInt64 = 0
  private var lost: UInt64 = 0

  init(_ tracepoints: [Tracepoint], _ request: RecordingRequest) throws(RecordingRefusal) {
    self.tracepoints = tracepoints
    let cpus = onlineCPUs()
    let threads = request.subject.perfThreads
    raiseDescriptorLimit(by: tracepoints.count * cpus.count * threads.count)
    do throws(Errno) {
      for cpu in cpus {
        var target = PerfTarget(threads: threads, cpu: cpu)
        target.includesChildren = request.subject != .system
        if case .command = request.subject { target.startsAtExec = true }
        let size = Self.ringSize(request.bufferSize)
        if request.keepsEndOnly {
          rings.append(try PerfRing(target, tracepoints: tracepoints, size: size))
        } else {
          streams.append((Int(cpu), try PerfStream(target, tracepoints: tracepoints, size: size)))
        }
      }
    } catch {
      throw RecordingRefusal(perf: error, tracepoints)
    }
  }

  /// A power of two that is not more than what was asked for, and a page at least.
  private static func ringSize(_ wanted: Int) -> Int {
    1 << (Int.bitWidth - 1 - max(wanted, PerfMapping.pageSize).leadingZeroBitCount)
  }

  var progress: (events: UInt64?, bytes: UInt64, lost: UInt64) {
    (isFinished || rings.isEmpty ? events : nil, bytes, lost)
  }

  /// Half full, as the kernel has it unless told otherwise (kernel/events/ring_buffer.c: ring_buffer_init).
  var descriptors: [FileDescriptor] { streams.compactMap(\.stream.descriptor) }

  func drain() throws {
    for (cpu, stream) in streams {
      try stream.drain { record in
        switch record {
        case .event(let time, let cpu, let threadID, let payload):
          try take(time, cpu, threadID, payload)
        case .lost(let count):
          lost &+= count
          try spool.noteLost(count, cpu: cpu)
        case .name(let threadID, let name): names[threadID] = name
        }
      }
    }
  }

  private func take(_ time: UInt64, _ cpu: Int, _ threadID: Int32, _ payload: borrowing RawSpan) throws {
    events &+= 1
    bytes &+= UInt64(payload.byteCount)
    if names[threadID] == nil { names[threadID] = nameOfThread(threadID) }
    try spool.append(time: time, cpu: cpu, record: payload)
  }

  func finish(to path: FilePath) throws -> Bool {
    try drain()
    isFinished = true
    var isCut = false
    for ring in rings {
      ring.pause(true)
      let contents = ring.contents()
      isCut = isCut || contents.isCut
      lost &+= ring.counts.dropped
      for sample in PerfSample.all(in: contents.bytes, of: ring.thread) {
        try take(sample.time, sample.cpu, sample.threadID, sample.payload.span.record)
      }
    }
    var metadata = TraceDatMetadata.amd64(cpuCount: (streams.map(\.cpu).max() ?? 0) + 1)
    metadata.systems = tracepoints.formatsBySystem
    for (thread, name) in names.sorted(by: { $0.key < $1.key }) where thread != 0 {
      metadata.commandLines += Array("\(thread) \(name)\n".utf8)
    }
    metadata.takeKernel()
    // perf's clock is the one that tracefs calls local: sched_clock.
    try spool.finish(to: path, metadata, clock: "local", compression: .zstd)
    return isCut
  }
}

extension RecordingRequest.Subject {
  /// The threads to open events for.
  fileprivate var perfThreads: [Int32] {
    switch self {
    // The command is started by the calling thread, and inherits its events.
    case .command: [0]
    case .process(let process): directoryEntries(FilePath("/proc/\(process)/task")).compactMap { Int32($0) }.sorted()
    case .system: [-1]
    }
  }
}

extension RecordingRefusal {
  /// Why perf_event_open did not open these.
  init(perf error: Errno, _ tracepoints: [Tracepoint]) {
    switch error {
    case .permissionDenied, .notPermitted: self = .perfForbidden(paranoid: Self.hinderingParanoidLevel)
    case .invalidArgument where tracepoints.contains(where: { $0.filter != nil }): self = .filterRefused
    default: self = .perfFailed(errno: error.rawValue)
    }
  }
}

/// The name that a thread has now; nil where it has ended.
func nameOfThread(_ threadID: Int32) -> String? {
  (try? wholeText(FilePath("/proc/\(threadID)/comm"))).map { String($0.prefix { $0 != "\n" }) }
}

extension TraceDatMetadata {
  /// Takes what a reader needs to know of this kernel: its symbols, the strings that records point to, its release.
  mutating func takeKernel() {
    symbols = (try? wholeFile("/proc/kallsyms")) ?? []
    if let root = try? Tracefs().root { printkFormats = (try? wholeFile(root.appending("printk_formats"))) ?? [] }
    func kernel(_ name: String) -> String {
      let text = (try? wholeText(FilePath("/proc/sys/kernel/\(name)"))) ?? ""
      return String(text.prefix { $0 != "\n" })
    }
    uname = "Linux \(kernel("hostname")) \(kernel("osrelease")) x86_64"
  }
}
