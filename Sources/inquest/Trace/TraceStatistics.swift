import KVM
import Traces
import X86

/// What a trace says in numbers about the guests in it.
struct TraceStatistics: Sendable {
  /// An access from the guest: to a port, to device memory, to an MSR.
  struct Access: Hashable, Comparable, Sendable {
    var isWrite: Bool
    var address: UInt64
    /// In bytes; 0 for an MSR.
    var size: Int

    static func < (left: Access, right: Access) -> Bool {
      (left.address, left.size, left.isWrite ? 1 : 0) < (right.address, right.size, right.isWrite ? 1 : 0)
    }
  }

  struct InjectedException: Hashable, Comparable, Sendable {
    var vector: UInt8
    var errorCode: UInt32?

    static func < (left: InjectedException, right: InjectedException) -> Bool {
      (left.vector, left.errorCode.map(Int.init) ?? -1) < (right.vector, right.errorCode.map(Int.init) ?? -1)
    }
  }

  private(set) var threads = LowestKeys<Int32, ThreadStatistics>(limit: 1 << 12)
  private(set) var eventCounts: [UInt64]
  private(set) var unknownEvents: UInt64 = 0
  private(set) var ports = LowestKeys<Access, UInt64>(limit: 1 << 12)
  private(set) var memory = LowestKeys<Access, UInt64>(limit: 1 << 16)
  private(set) var modelSpecific = LowestKeys<Access, UInt64>(limit: 1 << 12)
  private(set) var faultedModelSpecific = LowestKeys<Access, UInt64>(limit: 1 << 12)
  /// For each vector, and the error code where one was pushed.
  private(set) var exceptions = LowestKeys<InjectedException, UInt64>(limit: 1 << 10)
  private(set) var lostEvents: UInt64 = 0
  /// Marks of lost events that do not say how many.
  private(set) var lostMarks: UInt64 = 0
  private(set) var damages: [TraceDamage] = []
  private(set) var firstTime: UInt64?
  private(set) var lastTime: UInt64 = 0

  /// A file may be nothing but damage.
  private static let mostDamages = 1000

  private let readers: [Reader?]

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
    }
  }

  mutating func add(_ item: borrowing TraceItem) {
    switch item {
    case .event(let event): add(event)
    case .lost(let lost, _, _):
      if let count = lost.count { lostEvents = lostEvents &+ count } else { lostMarks += 1 }
    case .damage(let damage):
      if damages.count < Self.mostDamages { damages.append(damage) }
    }
  }

  /// Adds what was counted in the stretch of the trace that follows.
  mutating func join(_ next: TraceStatistics) {
    threads.join(next.threads)
    for index in eventCounts.indices { eventCounts[index] &+= next.eventCounts[index] }
    unknownEvents &+= next.unknownEvents
    ports.join(next.ports)
    memory.join(next.memory)
    modelSpecific.join(next.modelSpecific)
    faultedModelSpecific.join(next.faultedModelSpecific)
    exceptions.join(next.exceptions)
    lostEvents &+= next.lostEvents
    lostMarks &+= next.lostMarks
    damages += next.damages.prefix(Self.mostDamages - damages.count)
    if next.firstTime != nil { lastTime = next.lastTime }
    firstTime = firstTime ?? next.firstTime
  }

  @inline(__always)
  mutating func add(_ event: borrowing TraceEvent) {
    if firstTime == nil { firstTime = event.time }
    lastTime = event.time
    guard let index = event.event else {
      unknownEvents += 1
      return
    }
    eventCounts[index] &+= 1
    guard let reader = readers[index] else { return }
    add(event, reader)
  }

  @inline(__always)
  private mutating func add(_ event: borrowing TraceEvent, _ reader: Reader) {
    let payload = event.payload
    let time = event.time
    let thread = event.threadID
    switch reader.role {
    case .entry:
      let number = reader.first?.integer(in: payload)
      threads.update(thread) { $0.enter(time, vCPU: number) }
    case .exit:
      guard let code = reader.first?.integer(in: payload) else { return }
      let reason = ExitReason(
        vendor: UInt32(truncatingIfNeeded: reader.second?.integer(in: payload) ?? 0),
        code: UInt32(truncatingIfNeeded: code))
      let number = reader.third?.integer(in: payload)
      threads.update(thread) { $0.leave(time, reason, vCPU: number) }
    case .userspaceExit:
      let errno = reader.second?.integer(in: payload).map { Int32(truncatingIfNeeded: $0) } ?? 0
      let reason = UInt32(truncatingIfNeeded: reader.first?.integer(in: payload) ?? 0)
      threads.update(thread) { $0.userspaceExits.count(errno < 0 ? .error(errno) : .reason(reason)) }
    case .emulation:
      let isFailed = reader.first?.integer(in: payload) ?? 0 != 0
      threads.update(thread) {
        $0.emulations &+= 1
        if isFailed { $0.failedEmulations &+= 1 }
      }
    case .walk:
      threads.update(thread) { $0.walks &+= 1 }
    case .failedWalk:
      threads.update(thread) { $0.failedWalks &+= 1 }
    case .memoryAccess:
      guard let type = reader.first?.integer(in: payload), let address = reader.second?.integer(in: payload) else {
        return
      }
      // A read that QEMU must complete is traced when it begins, as unsatisfied (0), and again as a read (1) when it is
      // completed; one that KVM completes itself is traced as a read alone (x86.c: vcpu_mmio_read, read_prepare, 6.1).
      guard type != 0 else { return }
      memory.count(
        Access(
          isWrite: type == 2, address: address, size: Int(truncatingIfNeeded: reader.third?.integer(in: payload) ?? 0)))
    case .portAccess:
      guard let isWrite = reader.first?.integer(in: payload), let port = reader.second?.integer(in: payload) else {
        return
      }
      ports.count(
        Access(
          isWrite: isWrite != 0, address: port, size: Int(truncatingIfNeeded: reader.third?.integer(in: payload) ?? 0)))
    case .modelSpecific:
      guard let isWrite = reader.first?.integer(in: payload), let index = reader.second?.integer(in: payload) else {
        return
      }
      let access = Access(isWrite: isWrite != 0, address: index, size: 0)
      modelSpecific.count(access)
      if reader.third?.integer(in: payload) ?? 0 != 0 { faultedModelSpecific.count(access) }
    case .exception:
      guard let vector = reader.first?.integer(in: payload) else { return }
      let hasCode = reader.second?.integer(in: payload) ?? 0 != 0
      let code = reader.third?.integer(in: payload).map { UInt32(truncatingIfNeeded: $0) }
      exceptions.count(InjectedException(vector: UInt8(truncatingIfNeeded: vector), errorCode: hasCode ? code : nil))
    }
  }
}
