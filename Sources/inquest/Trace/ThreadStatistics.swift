import KVM

/// What a trace says in numbers about one thread: a vCPU, if it ran a guest.
struct ThreadStatistics: Joinable {
  /// KVM's number of the vCPU; nil where no event of this thread has it.
  private(set) var number: Int?
  private(set) var exits = LowestKeys<ExitReason, Exits>(limit: 256)
  private(set) var entries: UInt64 = 0
  var userspaceExits = LowestKeys<UserspaceExit, UInt64>(limit: 256)
  var emulations: UInt64 = 0
  var failedEmulations: UInt64 = 0
  var walks: UInt64 = 0
  var failedWalks: UInt64 = 0

  /// The exit that no entry followed yet.
  private var pending: (reason: ExitReason, time: UInt64)?
  /// What came first. An entry ends the exit that was pending before.
  private var opening: Opening?

  private enum Opening {
    case entry(time: UInt64)
    case exit
  }

  struct Exits: Joinable {
    var count: UInt64 = 0
    var durations = DurationStatistics()

    mutating func join(_ next: Exits) {
      count &+= next.count
      durations.join(next.durations)
    }
  }

  /// Whether the thread did anything that only a vCPU does.
  var isVCPU: Bool { number != nil || exitCount > 0 || userspaceExits.total > 0 || emulations > 0 }

  var exitCount: UInt64 { exits.elements.reduce(exits.others.count) { $0 &+ $1.value.count } }

  @inline(__always)
  mutating func enter(_ time: UInt64, vCPU: UInt64?) {
    entries &+= 1
    note(vCPU)
    if opening == nil { opening = .entry(time: time) }
    endPending(time)
  }

  @inline(__always)
  mutating func leave(_ time: UInt64, _ reason: ExitReason, vCPU: UInt64?) {
    note(vCPU)
    if opening == nil { opening = .exit }
    exits.update(reason) { $0.count &+= 1 }
    pending = (reason, time)
  }

  @inline(__always)
  private mutating func note(_ vCPU: UInt64?) {
    if let vCPU { number = Int(truncatingIfNeeded: vCPU & 0xffff_ffff) }
  }

  @inline(__always)
  private mutating func endPending(_ time: UInt64) {
    guard let pending else { return }
    self.pending = nil
    exits.update(pending.reason) { $0.durations.add(time >= pending.time ? time - pending.time : 0) }
  }

  mutating func join(_ next: ThreadStatistics) {
    number = next.number ?? number
    switch next.opening {
    case .entry(let time):
      endPending(time)
      pending = next.pending
    case .exit:
      pending = next.pending
    case nil:
      break
    }
    opening = opening ?? next.opening
    exits.join(next.exits)
    entries &+= next.entries
    userspaceExits.join(next.userspaceExits)
    emulations &+= next.emulations
    failedEmulations &+= next.failedEmulations
    walks &+= next.walks
    failedWalks &+= next.failedWalks
  }
}

/// Why a vCPU left its guest.
struct ExitReason: Hashable, Comparable, Sendable {
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

  static func < (left: ExitReason, right: ExitReason) -> Bool {
    (left.vendor, left.code) < (right.vendor, right.code)
  }
}

/// Why KVM_RUN returned to userspace.
enum UserspaceExit: Hashable, Comparable, Sendable {
  case reason(UInt32)
  /// Below 0.
  case error(Int32)

  /// As KVM prints it (include/trace/events/kvm.h: kvm_userspace_exit, Linux 6.1).
  var name: String {
    switch self {
    case .error(let number): number == -4 ? "restart" : "error \(number)"
    case .reason(let number): UserspaceExitReason(rawValue: number).name ?? "0x" + String(number, radix: 16)
    }
  }
}
