import Glibc
import SystemPackage

/// Keeps the last kvm and kvmmmu events of QEMU's threads in memory, and reads them only when the guest is dead.
final class FlightRecorder {
  private let rings: [PerfRing]
  private let events: [Tracefs.Event]
  private let threadNames: [Int32: String]
  private let filters: [String: String]

  /// Records the threads of a process whose guest has not started yet.
  ///
  /// - Parameters:
  ///   - vcpuThreads: the threads that run the guest; they get rings of `ringSize` bytes, the others of 1 MiB at most.
  ///   - ringSize: a power of two, from 64 KiB.
  ///   - wanted: the events' names; those that this kernel lacks are passed over.
  ///   - filters: for events of these names, which of their records to keep.
  init(
    process: Int32, vcpuThreads: [Int32], ringSize: Int, wanted: Set<String>, filters: [String: String]
  ) throws(RecordingRefusal) {
    let tracefs = try Tracefs()
    var events: [Tracefs.Event] = []
    for system in ["kvm", "kvmmmu"] { events += try tracefs.events(of: system, wanted: wanted) }
    guard !events.isEmpty else { throw .noTracepoints }
    let tracepoints = events.map { PerfRing.Tracepoint(id: $0.id, filter: filters[$0.name]) }
    let threads = Self.threads(of: process)
    raiseDescriptorLimit(by: tracepoints.count * threads.count)
    do throws(Errno) {
      var rings: [PerfRing] = []
      for thread in threads {
        let size = vcpuThreads.contains(thread) ? ringSize : min(ringSize, 1 << 20)
        rings.append(try PerfRing(threadID: thread, tracepoints: tracepoints, size: size))
      }
      self.rings = rings
    } catch {
      throw Self.refusal(error)
    }
    self.events = events
    self.filters = filters
    threadNames = Dictionary(threads.map { ($0, Self.name(of: $0, process)) }, uniquingKeysWith: { name, _ in name })
  }

  /// The events that tell how a guest came to its end.
  ///
  /// Not all hundred of them: turning off one waits for the kernel's grace periods, 40 ms each here, so that a process
  /// that recorded all took 4.5 s to go.
  static let defaultEvents: Set<String> = [
    "kvm_entry", "kvm_exit", "kvm_userspace_exit", "kvm_page_fault", "kvm_inj_exception", "kvm_inj_virq",
    "kvm_emulate_insn", "kvm_mmu_pagetable_walk", "kvm_mmu_paging_element", "kvm_mmu_walker_error", "kvm_cr", "kvm_msr",
    "kvm_cpuid", "kvm_pio", "kvm_mmio", "kvm_hypercall", "kvm_apic_ipi", "kvm_smm_transition",
    "kvm_nested_vmenter_failed",
  ]

  /// Which records to keep on this host, by the name of the event.
  ///
  /// kvm_pvm emulates the guest instruction by instruction and traces each: 6.37 of 6.4 million events of a guest's
  /// boot. Keeping all of them more than doubled QEMU's processor time (5.4 s to 11.6 s) and pushed the rest of the
  /// history out of the ring. With this filter it rose by 5 to 40 % on a busy machine, since the kernel still
  /// assembles each record before it drops it, and the ring held the whole run. What the last instructions were is
  /// left to the registers, which survive on kvm_pvm.
  static func filters(for host: HostKVM) -> [String: String] {
    host.vendorModule?.value == "kvm_pvm" ? ["kvm_emulate_insn": "failed==1"] : [:]
  }

  private static func threads(of process: Int32) -> [Int32] {
    directoryEntries(FilePath("/proc/\(process)/task")).compactMap { Int32($0) }.sorted()
  }

  private static func name(of thread: Int32, _ process: Int32) -> String {
    let text = (try? wholeText(FilePath("/proc/\(process)/task/\(thread)/comm"))) ?? ""
    return String(text.prefix { $0 != "\n" })
  }

  private static func refusal(_ error: Errno) -> RecordingRefusal {
    guard error == .permissionDenied || error == .notPermitted else { return .perfFailed(errno: error.rawValue) }
    return .perfForbidden(paranoid: RecordingRefusal.paranoidLevel)
  }

  /// What has happened until now. Recording goes on.
  func read() -> FlightRecording {
    for ring in rings { ring.pause(true) }
    defer { for ring in rings { ring.pause(false) } }
    var samples: [PerfSample] = []
    var isCut = false
    for ring in rings {
      let contents = ring.contents()
      samples += PerfSample.all(in: contents.bytes)
      if contents.isCut { isCut = true }
    }
    if rings.count > 1 { samples.sort { $0.time < $1.time } }
    let formats = events.map { event in
      FlightRecording.Format(
        system: event.system, name: event.name, id: UInt16(truncatingIfNeeded: event.id), text: event.format,
        filter: filters[event.name])
    }
    return FlightRecording(formats: formats, samples: samples, threadNames: threadNames, isCut: isCut)
  }
}

/// Each event of each thread is a descriptor: about a hundred for a thread.
private func raiseDescriptorLimit(by count: Int) {
  var limit = rlimit()
  // getrlimit fills the structure, setrlimit reads it.
  guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
  let wanted = limit.rlim_cur &+ UInt(count)
  limit.rlim_cur = min(max(wanted, limit.rlim_cur), limit.rlim_max)
  _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
