import Dispatch
import Glibc
import SystemPackage

/// Keeps the last kvm and kvmmmu events of QEMU's threads in memory, and reads them only when the guest is dead.
final class FlightRecorder {
  let tracepoints: [Tracepoint]
  /// Fewer than were wanted, where the kernel lets no more be recorded.
  let choice: EventChoice
  /// Why there are fewer, with errno; nil where all are recorded.
  let shortage: Errno?
  private let rings: [PerfRing]
  private var shutdownProbe: ShutdownProbe?
  /// Why KVM will clear the registers at a triple fault, and nothing keeps them; nil where it clears none, or they are kept.
  private let lostRegisters: ProbeRefusal?
  private let threadNames: [Int32: String]

  /// Records the threads of a process whose guest has not started yet.
  ///
  /// - Parameters:
  ///   - vcpuThreads: the threads that run the guest.
  ///   - memory: what all rings together may take, in bytes.
  ///   - choice: which events; those that this kernel lacks are passed over.
  init(process: Int32, vcpuThreads: [Int32], memory: Int, choice: EventChoice) throws(RecordingRefusal) {
    let tracefs = try Tracefs()
    let threads = Self.threads(of: process)
    let sizes = RecorderMemory(total: memory, vcpus: vcpuThreads.count, others: threads.count - vcpuThreads.count)
    let requests = threads.map { thread in
      let isVCPU = vcpuThreads.contains(thread)
      return RingRequest(
        thread: thread, mayRunGuest: isVCPU || vcpuThreads.isEmpty, size: isVCPU ? sizes.vcpuRing : sizes.otherRing)
    }
    threadNames = Dictionary(threads.map { ($0, Self.name(of: $0, process)) }, uniquingKeysWith: { name, _ in name })
    (shutdownProbe, lostRegisters) = Self.probeShutdown()
    let probed = [shutdownProbe?.tracepoint].compactMap(\.self)
    let wanted = try tracefs.tracepoints(in: ["kvm", "kvmmmu"], chosenBy: choice.selectors) + probed
    do throws(RecordingRefusal) {
      rings = try Self.open(wanted, requests)
      (tracepoints, self.choice, shortage) = (wanted, choice, nil)
    } catch .perfFailed(let code) where Errno(rawValue: code).isShortage {
      let least = try tracefs.tracepoints(in: ["kvm", "kvmmmu"], chosenBy: EventChoice.least.selectors) + probed
      rings = try Self.open(least, requests)
      (tracepoints, self.choice, shortage) = (least, .least, Errno(rawValue: code))
    }
  }

  private static func probeShutdown() -> (ShutdownProbe?, ProbeRefusal?) {
    guard ShutdownProbe.isOfUse else { return (nil, nil) }
    do throws(ProbeRefusal) { return (try ShutdownProbe(), nil) } catch { return (nil, error) }
  }

  /// What is asked for of one thread.
  private struct RingRequest {
    var thread: Int32
    var mayRunGuest: Bool
    var size: Int
  }

  private static func open(
    _ tracepoints: [Tracepoint], _ requests: [RingRequest]
  ) throws(RecordingRefusal) -> [PerfRing] {
    // Only a thread that runs the guest meets the probe.
    let ofOthers = tracepoints.filter { !$0.system.hasPrefix(ProbeSession.prefix) }
    raiseDescriptorLimit(by: tracepoints.count * requests.count)
    do throws(Errno) {
      var rings: [PerfRing] = []
      for request in requests {
        rings.append(
          try PerfRing(
            .thread(request.thread), tracepoints: request.mayRunGuest ? tracepoints : ofOthers, size: request.size))
      }
      return rings
    } catch .permissionDenied, .notPermitted {
      throw .perfForbidden(paranoid: RecordingRefusal.hinderingParanoidLevel)
    } catch .invalidArgument where tracepoints.contains(where: { $0.filter != nil }) {
      throw .filterRefused
    } catch {
      throw .perfFailed(errno: error.rawValue)
    }
  }

  /// The process that a thread belongs to: QEMU may have been started by a script. Nil where the thread cannot be seen.
  static func process(ofThread thread: Int32) -> Int32? {
    let status = (try? wholeText(FilePath("/proc/\(thread)/status"))) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("Tgid:") }
    return line?.split(separator: "\t").last.flatMap { Int32($0) }
  }

  private static func threads(of process: Int32) -> [Int32] {
    directoryEntries(FilePath("/proc/\(process)/task")).compactMap { Int32($0) }.sorted()
  }

  private static func name(of thread: Int32, _ process: Int32) -> String {
    let text = (try? wholeText(FilePath("/proc/\(process)/task/\(thread)/comm"))) ?? ""
    return String(text.prefix { $0 != "\n" })
  }

  /// Stops recording, so that what is there stays; or goes on.
  func pause(_ isPaused: Bool) {
    for ring in rings { ring.pause(isPaused) }
  }

  /// Stops recording for good. The kernel takes its time to turn the tracepoints off: that is left to another thread.
  func stop() {
    let events = ClosingEvents(rings.flatMap { $0.takeEvents() }, shutdownProbe)
    shutdownProbe = nil
    DispatchQueue.global().async { events.close() }
  }

  /// A probe is not removed as long as its events are open.
  deinit { for ring in rings { _ = ring.takeEvents() } }

  /// What has happened until it was paused, which it must be.
  ///
  /// - Parameter limit: How many of each thread's last events; nil for all.
  func read(last limit: Int? = nil) -> FlightRecording {
    var samples: [PerfSample] = []
    var isCut = false
    for ring in rings {
      let contents = ring.contents(last: limit)
      let isComplete = ring.counts.dropped == 0
      samples += PerfSample.all(in: contents.bytes, of: ring.thread).map { sample in
        // What was met while writing was stopped is no loss.
        var sample = sample
        if isComplete { sample.followsLoss = false }
        return sample
      }
      if contents.isCut { isCut = true }
    }
    if rings.count > 1 { samples.sort { $0.time < $1.time } }
    return FlightRecording(
      tracepoints: tracepoints, samples: samples, threadNames: threadNames, isCut: isCut, account: account)
  }

  private var account: FlightRecording.Account {
    let counts = rings.reduce(EventCounts()) { $0 + $1.counts }
    var account = FlightRecording.Account(
      choice: choice, shortage: shortage?.rawValue, met: counts.all, dropped: counts.dropped,
      memory: rings.reduce(0) { $0 + $1.size }, lostRegisters: lostRegisters)
    account.hasUnplacedLosses = rings.contains { $0.hasUnplacedLosses }
    return account
  }
}

/// Events whose descriptors are closed by a thread that has them for itself, and the probe that some of them are of.
final class ClosingEvents: @unchecked Sendable {
  // Sendable: handed over to one thread, which alone uses it from then on.
  private var events: [OwnedDescriptor]

  private var probe: ShutdownProbe?

  init(_ events: [OwnedDescriptor], _ probe: ShutdownProbe? = nil) {
    self.events = events
    self.probe = probe
  }

  func close() {
    events = []
    probe = nil
  }
}

extension Errno {
  /// Whether fewer events may be let through: out of descriptors, or of memory that may be locked.
  fileprivate var isShortage: Bool {
    [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .noSpace].contains(self)
  }
}

/// Each event of each thread is a descriptor.
func raiseDescriptorLimit(by count: Int) {
  var limit = rlimit()
  // getrlimit fills the structure, setrlimit reads it.
  guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
  let wanted = limit.rlim_cur &+ UInt(count)
  limit.rlim_cur = min(max(wanted, limit.rlim_cur), limit.rlim_max)
  _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
