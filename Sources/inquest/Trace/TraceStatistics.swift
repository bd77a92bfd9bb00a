import KVM
import Traces
import X86

/// What a trace says in numbers about the guests in it.
struct TraceStatistics {
  /// A vCPU, as far as the trace tells: by KVM's number and the thread, since a trace may hold several VMs.
  struct VCPU: Hashable {
    var thread: Int32
    /// KVM's number; nil where no event of this thread has it.
    var number: Int?
  }

  struct Reason: Hashable {
    var vendor: UInt32
    var code: UInt32

    /// As KVM prints it.
    var name: String {
      let name: String? =
        switch vendor {
        case 1: VMXExitReason.name(of: code)
        case 2: SVMExitCode.name(of: code)
        case 3: PVMExitReason.name(of: code)
        default: nil
        }
      let isFailedEntry = vendor == 1 && code & VMXExitReason.failedEntry != 0
      return (name ?? "0x" + String(code, radix: 16)) + (isFailedEntry ? " FAILED_VMENTRY" : "")
    }
  }

  struct Exits {
    var count: UInt64 = 0
    var durations = DurationStatistics()
  }

  /// An access from the guest: to a port, to device memory, to an MSR.
  struct Access: Hashable {
    var isWrite: Bool
    var address: UInt64
    /// In bytes; 0 for an MSR.
    var size: Int
  }

  struct ThreadStatistics {
    var number: Int?
    var exits: [Reason: Exits] = [:]
    var firstTime: UInt64?
    var lastTime: UInt64 = 0
    var entries: UInt64 = 0
    var userspaceExits: [UInt64: UInt64] = [:]
    var emulations: UInt64 = 0
    var failedEmulations: UInt64 = 0
    var walks: UInt64 = 0
    var failedWalks: UInt64 = 0
    /// The exit that no entry followed yet.
    fileprivate var pending: (reason: Reason, time: UInt64)?
    /// The reason met last, with its numbers, to be added to `exits`.
    fileprivate var current: (reason: Reason, exits: Exits)?

    fileprivate mutating func select(_ reason: Reason) {
      if let current, current.reason == reason { return }
      settle()
      current = (reason, exits.removeValue(forKey: reason) ?? Exits())
    }

    fileprivate mutating func settle() {
      if let current { exits[current.reason] = current.exits }
      current = nil
    }
  }

  private(set) var threads: [Int32: ThreadStatistics] = [:]
  private(set) var eventCounts: [UInt64]
  private(set) var unknownEvents: UInt64 = 0
  private(set) var ports = AccessCounts()
  private(set) var memory = AccessCounts()
  private(set) var modelSpecific = AccessCounts()
  private(set) var faultedModelSpecific = AccessCounts()
  /// For each vector, and the error code where one was pushed.
  private(set) var exceptions: [InjectedException: UInt64] = [:]
  private(set) var lostEvents: UInt64 = 0
  /// Marks of lost events that do not say how many.
  private(set) var lostMarks: UInt64 = 0
  private(set) var damages: [TraceDamage] = []
  private(set) var firstTime: UInt64?
  private(set) var lastTime: UInt64 = 0

  struct InjectedException: Hashable {
    var vector: UInt8
    var errorCode: UInt32?
  }

  private let readers: [Reader?]
  private var lastThread: (id: Int32, statistics: ThreadStatistics)?

  init(_ context: TraceContext) {
    eventCounts = [UInt64](repeating: 0, count: context.events.count)
    readers = context.events.indices.map { index in
      let event = context.events[index]
      guard event.system == "kvm" || event.system == "kvmmmu", let role = Reader.roles[event.name],
        case .success(let format) = context.events.format(at: index)
      else { return nil }
      return Reader(role, format)
    }
  }

  /// What an event means here, and where its fields are.
  private struct Reader {
    enum Role {
      case entry, exit, userspaceExit, emulation, walk, failedWalk, memoryAccess, portAccess, modelSpecific, exception
    }

    static let roles: [String: Role] = [
      "kvm_entry": .entry, "kvm_exit": .exit, "kvm_userspace_exit": .userspaceExit, "kvm_emulate_insn": .emulation,
      "kvm_mmu_pagetable_walk": .walk, "kvm_mmu_walker_error": .failedWalk, "kvm_mmio": .memoryAccess,
      "kvm_pio": .portAccess, "kvm_msr": .modelSpecific, "kvm_inj_exception": .exception,
    ]

    let role: Role
    let first: FieldLocation?
    let second: FieldLocation?
    let third: FieldLocation?
    let fourth: FieldLocation?

    init(_ role: Role, _ format: EventFormat) {
      self.role = role
      let names: [String] =
        switch role {
        case .entry: ["vcpu_id"]
        case .exit: ["exit_reason", "isa", "vcpu_id"]
        case .userspaceExit: ["reason", "errno"]
        case .emulation: ["failed"]
        case .walk, .failedWalk: []
        case .memoryAccess: ["type", "gpa", "len"]
        case .portAccess: ["rw", "port", "size"]
        case .modelSpecific: ["write", "ecx", "exception"]
        case .exception: ["exception", "has_error", "error_code"]
        }
      func location(_ index: Int) -> FieldLocation? { index < names.count ? format.location(of: names[index]) : nil }
      first = location(0)
      second = location(1)
      third = location(2)
      fourth = location(3)
    }
  }

  mutating func add(_ item: borrowing TraceItem) {
    switch item {
    case .event(let event): add(event)
    case .lost(let lost, _, _):
      if let count = lost.count { lostEvents = lostEvents &+ count } else { lostMarks += 1 }
    case .damage(let damage):
      // A file may be nothing but damage.
      if damages.count < 1000 { damages.append(damage) }
    }
  }

  @inline(__always)
  private mutating func add(_ event: borrowing TraceEvent) {
    if firstTime == nil { firstTime = event.time }
    lastTime = event.time
    guard let index = event.event else {
      unknownEvents += 1
      return
    }
    eventCounts[index] &+= 1
    guard let reader = readers[index] else { return }
    if lastThread?.id != event.threadID { selectThread(event.threadID) }
    addToThread(event, reader)
  }

  private mutating func selectThread(_ id: Int32) {
    if let last = lastThread { threads[last.id] = last.statistics }
    lastThread = (id, threads.removeValue(forKey: id) ?? ThreadStatistics())
  }

  /// To be called after the last event.
  mutating func finish() {
    if let last = lastThread { threads[last.id] = last.statistics }
    lastThread = nil
    for id in threads.keys { threads[id]?.settle() }
  }

  @inline(__always)
  private mutating func addToThread(_ event: borrowing TraceEvent, _ reader: Reader) {
    let payload = event.payload
    let time = event.time
    if lastThread?.statistics.firstTime == nil { lastThread?.statistics.firstTime = time }
    lastThread?.statistics.lastTime = time
    switch reader.role {
    case .entry:
      lastThread?.statistics.enter(time, reader.first?.integer(in: payload))
    case .exit:
      guard let code = reader.first?.integer(in: payload) else { return }
      let reason = Reason(
        vendor: UInt32(truncatingIfNeeded: reader.second?.integer(in: payload) ?? 0),
        code: UInt32(truncatingIfNeeded: code))
      lastThread?.statistics.leave(time, reason, reader.third?.integer(in: payload))
    case .userspaceExit:
      let errno = reader.second?.integer(in: payload).map { Int32(truncatingIfNeeded: $0) } ?? 0
      // Errors are kept apart from reasons as the kernel prints them: -EINTR is `restart`.
      let reason = errno < 0 ? UInt64(bitPattern: Int64(errno)) : reader.first?.integer(in: payload) ?? 0
      lastThread?.statistics.userspaceExits[reason, default: 0] += 1
    case .emulation:
      lastThread?.statistics.emulations &+= 1
      if reader.first?.integer(in: payload) ?? 0 != 0 { lastThread?.statistics.failedEmulations &+= 1 }
    case .walk:
      lastThread?.statistics.walks &+= 1
    case .failedWalk:
      lastThread?.statistics.failedWalks &+= 1
    case .memoryAccess:
      guard let type = reader.first?.integer(in: payload), let address = reader.second?.integer(in: payload) else {
        return
      }
      // A read that QEMU must complete is traced when it begins, as unsatisfied (0), and again as a read (1) when it is
      // completed; one that KVM completes itself is traced as a read alone (x86.c: vcpu_mmio_read, read_prepare, 6.1).
      guard type != 0 else { return }
      memory.add(
        Access(
          isWrite: type == 2, address: address, size: Int(truncatingIfNeeded: reader.third?.integer(in: payload) ?? 0)))
    case .portAccess:
      guard let isWrite = reader.first?.integer(in: payload), let port = reader.second?.integer(in: payload) else {
        return
      }
      ports.add(
        Access(
          isWrite: isWrite != 0, address: port, size: Int(truncatingIfNeeded: reader.third?.integer(in: payload) ?? 0)))
    case .modelSpecific:
      guard let isWrite = reader.first?.integer(in: payload), let index = reader.second?.integer(in: payload) else {
        return
      }
      let access = Access(isWrite: isWrite != 0, address: index, size: 0)
      modelSpecific.add(access)
      if reader.third?.integer(in: payload) ?? 0 != 0 { faultedModelSpecific.add(access) }
    case .exception:
      guard let vector = reader.first?.integer(in: payload) else { return }
      let hasCode = reader.second?.integer(in: payload) ?? 0 != 0
      let code = reader.third?.integer(in: payload).map { UInt32(truncatingIfNeeded: $0) }
      exceptions[
        InjectedException(vector: UInt8(truncatingIfNeeded: vector), errorCode: hasCode ? code : nil), default: 0] += 1
    }
  }
}

extension TraceStatistics.ThreadStatistics {
  fileprivate mutating func enter(_ time: UInt64, _ number: UInt64?) {
    entries &+= 1
    if let number { self.number = Int(truncatingIfNeeded: number & 0xffff_ffff) }
    guard let pending else { return }
    self.pending = nil
    select(pending.reason)
    current?.exits.durations.add(time >= pending.time ? time - pending.time : 0)
  }

  fileprivate mutating func leave(_ time: UInt64, _ reason: TraceStatistics.Reason, _ number: UInt64?) {
    if let number { self.number = Int(truncatingIfNeeded: number & 0xffff_ffff) }
    select(reason)
    current?.exits.count &+= 1
    pending = (reason, time)
  }
}

/// How often the guest accessed what. Keeps a bounded number of places; accesses to others are only counted.
struct AccessCounts {
  private(set) var counts: [TraceStatistics.Access: UInt64] = [:]
  private(set) var others: UInt64 = 0

  private static let mostPlaces = 1 << 16

  mutating func add(_ access: TraceStatistics.Access) {
    if counts[access] != nil || counts.count < Self.mostPlaces {
      counts[access, default: 0] += 1
    } else {
      others += 1
    }
  }

  var total: UInt64 { counts.values.reduce(others, &+) }

  /// The most frequent first.
  var sorted: [(access: TraceStatistics.Access, count: UInt64)] {
    counts.map { (access: $0.key, count: $0.value) }.sorted {
      ($1.count, $0.access.address, $0.access.size) < ($0.count, $1.access.address, $1.access.size)
    }
  }
}
