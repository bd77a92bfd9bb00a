public import KVM
import X86

/// The death of a vCPU as a trace shows it: the last KVM_RUN and what led to it.
public struct RecordedDeath: Hashable, Sendable {
  /// How KVM reported it.
  public enum Kind: Hashable, Sendable {
    /// KVM_EXIT_SHUTDOWN, the discriminator of a triple fault.
    case tripleFault
    /// KVM_EXIT_INTERNAL_ERROR.
    case internalError
    /// KVM_EXIT_FAIL_ENTRY.
    case failedEntry
  }

  public var kind: Kind
  public var threadID: Int32?
  public var task: String?
  /// RIP at the death, an offset in CS; nil where no event of the last stretch shows it.
  public var rip: UInt64?
  /// The records of this thread from its last sign of progress, or the last loss of events, to the death, the death
  /// included.
  public var records: [KVMRecord]
  /// Whether a loss of events keeps what came right before those from being known.
  public var followsLoss: Bool
}

extension RecordedDeath {
  /// How far back from a death to look for its beginning. A delivery that fails takes a few dozen events.
  private static let longestStretch = 2048

  /// The deaths in a trace, in order. A guest that reboots may die several times.
  ///
  /// QEMU lets a guest go on after an internal error at CPL 3 (target/i386/kvm/kvm.c:
  /// kvm_arch_stop_on_emulation_error), so that one is a death only if the thread did not run the guest again.
  ///
  /// - Parameter holes: The indices of the records before which events were lost. What is before the last hole is not
  ///   joined to a death behind it: any event may be missing between the two.
  public static func deaths(in trace: [KVMRecord], holes: Set<Int> = []) -> [RecordedDeath] {
    var stretches: [Int32?: Stretch] = [:]
    var deaths: [RecordedDeath] = []
    var internalErrors: [Int32?: [Int]] = [:]
    var survived: Set<Int> = []
    // The threads of which there is something that nobody can have missed: nil before the first hole, that is all of them.
    var threadsSinceHole: Set<Int32?>?
    for (index, record) in trace.enumerated() {
      if holes.contains(index) {
        stretches.removeAll()
        threadsSinceHole = []
      }
      if record.event.runsGuest, let errors = internalErrors.removeValue(forKey: record.threadID) {
        survived.formUnion(errors)
      }
      let followsLoss = threadsSinceHole?.contains(record.threadID) == false
      stretches[record.threadID, default: Stretch(followsLoss: followsLoss)].append(index, record.event)
      if record.event.isProgress { threadsSinceHole?.insert(record.threadID) }
      guard record.event.isProgress, let stretch = stretches.removeValue(forKey: record.threadID),
        let kind = Kind(record.event)
      else { continue }
      if kind == .internalError { internalErrors[record.threadID, default: []].append(deaths.count) }
      deaths.append(
        RecordedDeath(
          kind: kind, threadID: record.threadID, task: record.task, rip: stretch.rip,
          records: stretch.indices.suffix(longestStretch).map { trace[$0] }, followsLoss: stretch.followsLoss))
    }
    return deaths.indices.filter { !survived.contains($0) }.map { deaths[$0] }
  }

  /// The records of one thread since its RIP changed or its last sign of progress.
  private struct Stretch {
    private(set) var indices: [Int] = []
    private(set) var rip: UInt64?
    /// Whether it begins at a hole.
    private(set) var followsLoss: Bool
    /// How many of the records are not behind the last one that shows RIP.
    private var countToRIP = 0
    /// Whether an exception was injected since.
    private var hasInjected = false

    init(followsLoss: Bool) { self.followsLoss = followsLoss }

    /// What KVM does behind an instruction that it has carried out itself is of the RIP behind that, as an interrupt that it injects. An exception
    /// that it injects leaves RIP where it is: where the guest is met elsewhere then, its handler has run.
    mutating func append(_ index: Int, _ event: KVMEvent) {
      let here = event.rip
      if let here, let rip, rip != here {
        if hasInjected, case .exit = event { indices.removeAll() } else { indices.removeFirst(countToRIP) }
        followsLoss = false
      }
      indices.append(index)
      if case .injectException = event { hasInjected = true }
      guard let here else { return }
      hasInjected = false
      rip = here
      countToRIP = indices.count
    }
  }

  /// The walk whose failure began the death; nil where the records do not show one beyond doubt.
  ///
  /// For a triple fault it is the walk that failed before KVM injected the last #PF: the #DF and the shutdown follow from
  /// failing to deliver that one. If KVM injected any other exception as well, what came first is not so simple, and no
  /// walk is named. For an internal error it is the failed fetch of the instruction that KVM had to emulate; a failed
  /// operand is injected as #PF and ends no emulation (arch/x86/kvm/x86.c: x86_decode_emulated_instruction, 5.10).
  ///
  /// In a nested guest the same tracepoints show walks of the guest's hypervisor's tables, which follow other rules.
  var firstFailedWalk: RecordedWalk? {
    guard !records.contains(where: \.event.isNested) else { return nil }
    let walks = RecordedWalk.walks(in: records)
    switch kind {
    case .tripleFault: return walkInjected(among: walks)
    case .internalError:
      guard let last = walks.last, last.error != nil, last.access.contains(.fetch) else { return nil }
      // A fault that was injected was the guest's to handle, and what ended the emulation came after it.
      let isInjected = records[last.lastRecord...].contains {
        if case .injectException = $0.event { true } else { false }
      }
      return isInjected ? nil : last
    case .failedEntry: return nil
    }
  }

  private func walkInjected(among walks: [RecordedWalk]) -> RecordedWalk? {
    var injected: RecordedWalk?
    for (index, record) in records.enumerated() {
      guard case .injectException(let vector, let code, _) = record.event, vector != .doubleFault else { continue }
      guard vector == .pageFault else { return nil }
      injected = walks.last { $0.lastRecord < index && $0.error != nil && $0.error?.rawValue == code }
    }
    return injected
  }

  /// The linear address of the instruction at the death; nil where RIP or the base of CS is not known.
  ///
  /// kvm_emulate_insn shows the base; a failed fetch at RIP itself shows that it is 0.
  var instructionAddress: LinearAddress? {
    guard let rip else { return nil }
    for record in records.reversed() {
      if case .emulateInstruction(let emulation) = record.event, emulation.rip == rip {
        return LinearAddress(UInt64(emulation.codeSegmentBase) &+ rip)
      }
    }
    let fetches = RecordedWalk.walks(in: records).filter { $0.access.contains(.fetch) }
    return fetches.contains { $0.address.rawValue == rip } ? LinearAddress(rip) : nil
  }

  /// Whether a handler may have run, unseen, between the injected fault and the death.
  ///
  /// The processor itself shut down (VMX TRIPLE_FAULT, SVM shutdown), so the guest ran in between; and with EPT or NPT the
  /// instruction could then be executed without KVM. With shadow paging it could not: the same walk would have been
  /// made, and traced, once more.
  var mayHaveBeenHandled: Bool {
    guard exit?.exit.usesTwoDimensionalPaging == true else { return false }
    for record in records.reversed() {
      switch record.event {
      case .exit(let exit): return exit.reasonName == "TRIPLE_FAULT" || exit.reasonName == "shutdown"
      case .injectException: return false
      default: continue
      }
    }
    return false
  }

  /// `qemu-system-x86-128`, as traces name a thread.
  var threadName: String { [task ?? "thread", threadID.map(String.init) ?? "?"].joined(separator: "-") }

  /// The exit that began the stretch, where the trace has one.
  var exit: (exit: KVMExit, source: Source)? {
    for record in records {
      if case .exit(let exit) = record.event { return (exit, .trace(event: "kvm_exit", time: record.time)) }
    }
    return nil
  }
}

extension RecordedDeath.Kind {
  fileprivate init?(_ event: KVMEvent) {
    guard case .userspaceExit(let reason, _) = event else { return nil }
    switch reason {
    case .shutdown: self = .tripleFault
    case .internalError: self = .internalError
    case .failEntry: self = .failedEntry
    default: return nil
    }
  }
}

extension KVMEvent {
  /// Whether the event is of a nested guest.
  var isNested: Bool {
    switch self {
    case .nestedEntry, .nestedExit: true
    default: false
    }
  }

  /// RIP where the event shows it, an offset in CS.
  fileprivate var rip: UInt64? {
    switch self {
    case .entry(_, let rip): rip
    case .exit(let exit): exit.rip
    case .pageFault(_, _, let rip): rip
    case .emulateInstruction(let emulation): emulation.rip
    default: nil
    }
  }

  /// Whether the guest got something done: QEMU served an instruction of it. A signal that QEMU got is no such thing.
  fileprivate var isProgress: Bool {
    guard case .userspaceExit(let reason, let errno) = self else { return false }
    return reason != .interrupted && (errno ?? 0) >= 0
  }

  fileprivate var runsGuest: Bool {
    switch self {
    case .entry, .exit, .emulateInstruction: true
    // A later exit for QEMU to serve something: KVM ran the guest again, whether or not that was recorded.
    case .userspaceExit(let reason, let errno): reason != .interrupted && reason != .internalError && errno == nil
    default: false
    }
  }
}
