import KVM
import X86

/// A function of KVM on the way to what failed.
public struct KVMPathStep: Hashable, Sendable {
  public var function: String
  /// How many of the steps before it enclose it.
  public var depth: Int
  /// What it does, in a few words; nil where that is not known.
  public var role: String?
  /// What it was given, as `name = value`.
  public var given: [String]
  /// What it answered; nil where nothing recorded that.
  public var answer: String?
  /// The record that shows it, or KVM's source for a function that lies between two that were recorded.
  public var source: Source

  public init(
    function: String, depth: Int, role: String? = nil, given: [String] = [], answer: String? = nil, source: Source
  ) {
    self.function = function
    self.depth = depth
    self.role = role
    self.given = given
    self.answer = answer
    self.source = source
  }
}

extension RecordedDeath {
  /// The way through KVM to the walk that failed; where probes were recorded, else to the walk that was made last.
  ///
  /// What the records show is joined with what KVM's source says lies between. Empty where there is no walk, and where
  /// neither tells the way.
  ///
  /// - Parameter release: The kernel's version, where it is known.
  func path(release: SoftwareVersion?) -> [KVMPathStep] {
    let walks = RecordedWalk.walks(in: records)
    let hasProbes = records.contains { if case .functionCall = $0.event { true } else { false } }
    guard let walk = firstFailedWalk ?? (hasProbes ? walks.last : nil),
      let start = records[..<walk.lastRecord].lastIndex(where: \.event.isExit),
      case .exit(let exit) = records[start].event
    else { return [] }
    let steps = recordedSteps(of: walk, from: start)
    let isFirst = walks.first { $0.lastRecord > start }?.lastRecord == walk.lastRecord
    let purpose = purpose(of: walk, isFirst: isFirst, exit)
    if let route = KVMRoute(from: exit, to: purpose, mode: walk.mode, release: release),
      let whole = KVMPath.filled(steps, by: route)
    {
      return whole
    }
    return hasProbes ? steps : []
  }

  private func recordedSteps(of walk: RecordedWalk, from start: Int) -> [KVMPathStep] {
    var path = KVMPath(walkName: KVMRoute.walk(walk.mode))
    for (index, record) in records.enumerated().dropFirst(start) {
      // A walk before the one that counts was another's.
      if record.event.beginsWalk, index < walk.lastRecord - walk.elements.count - 1 { path.dropWalk() }
      path.add(record)
      // What the walk's callers answer comes after its own end.
      if record.event.leavesKVM, index > walk.lastRecord { break }
    }
    return path.steps
  }

  private func purpose(of walk: RecordedWalk, isFirst: Bool, _ exit: KVMExit) -> KVMRoute.Purpose {
    if isFirst, KVMRoute.handler(of: exit)?.isIntercept == true { return .pageFault }
    return walk.access.contains(.fetch) ? .fetch : .operand
  }
}

extension RecordedWalk {
  /// What paging_tmpl.h was compiled to for it: entries of 8 bytes or of 4; nil where they do not tell.
  fileprivate var mode: String? {
    let hasWideEntries = elements.contains { $0.level > 2 || $0.entry >> 32 != 0 }
    return hasWideEntries ? "paging64" : nil
  }
}

/// Puts steps together from the records of one exit.
struct KVMPath {
  private(set) var steps: [KVMPathStep] = []
  /// What the walk's function is called, where no probe shows it.
  private let walkName: String
  /// The probed calls that have not returned, by their places in `steps`.
  private var open: [Int] = []
  /// The walk that is being made.
  private var walk: Int?
  private var lastEntry: (entry: UInt64, level: Int)?

  fileprivate init(walkName: String) { self.walkName = walkName }

  /// Forgets a walk that only tracepoints showed.
  fileprivate mutating func dropWalk() {
    guard let walk, !open.contains(walk), walk < steps.count,
      case .trace("kvm_mmu_pagetable_walk", _) = steps[walk].source
    else { return }
    steps.removeSubrange(walk...)
    self.walk = nil
  }

  fileprivate mutating func add(_ record: KVMRecord) {
    switch record.event {
    case .exit(let exit) where steps.isEmpty:
      guard let handler = KVMRoute.handler(of: exit)?.function else { return }
      add(handler, ["exit \(exit.reasonName)", "rip = \(exit.rip.hexadecimal)"], "kvm_exit", record)
    case .pageFault(let address, let code, _) where steps.count == 1:
      steps[0].given += ["address = \(address.hexadecimal)", "error code = \(code.hexadecimal)"]
    case .functionCall(let call): add(call, record)
    case .pagetableWalk(let address, let access):
      lastEntry = nil
      if let innermost = open.last, steps[innermost].function.hasSuffix(KVMRoute.walkSuffix) {
        walk = innermost
      } else {
        add(
          walkName, ["addr = \(address.rawValue.hexadecimal)", "access = \(access.words)"], "kvm_mmu_pagetable_walk",
          record)
        walk = steps.count - 1
      }
    case .pagingElement(let entry, let level):
      lastEntry = (entry, level)
      guard let walk else { return }
      steps[walk].given.append("reads level \(level): \(entry.hexadecimal)")
    case .walkerError(let error): fail(error, record)
    default: return
    }
  }

  private mutating func add(_ call: KVMFunctionCall, _ record: KVMRecord) {
    let values = call.values.map { "\($0.name) = \($0.text)" }
    guard call.isReturn else {
      add(call.function, values, "probe of \(call.function)", record)
      open.append(steps.count - 1)
      return
    }
    guard let place = open.lastIndex(where: { steps[$0].function == call.function }) else { return }
    let answer = call.values.first?.text ?? "returns"
    let before = steps[open[place]].answer
    steps[open[place]].answer = before.map { "\(answer), \($0)" } ?? answer
    open.removeSubrange(place...)
  }

  private mutating func add(_ function: String, _ given: [String], _ event: String, _ record: KVMRecord) {
    let isExit = steps.isEmpty && event == "kvm_exit"
    let outer = steps.first.map { $0.source.isExit ? 1 : 0 } ?? 0
    steps.append(
      KVMPathStep(
        function: function, depth: isExit ? 0 : outer + open.count, role: KVMRoute.role(of: function),
        given: given, answer: nil, source: .trace(event: event, time: record.time)))
  }

  private mutating func fail(_ error: PageFaultErrorCode, _ record: KVMRecord) {
    guard let walk else { return }
    steps[walk].answer = "the error code \(error.words)"
    guard error.contains(.reserved), let lastEntry else { return }
    let check = KVMRoute.reservedBitCheck
    steps.append(
      KVMPathStep(
        function: check.name, depth: steps[walk].depth + 1, role: check.role,
        given: ["level \(lastEntry.level): \(lastEntry.entry.hexadecimal)"], answer: "a reserved bit is set",
        source: .trace(event: "kvm_mmu_walker_error", time: record.time)))
  }

  /// The route with what was recorded of its functions; nil if something was recorded that is not on it.
  fileprivate static func filled(_ steps: [KVMPathStep], by route: KVMRoute) -> [KVMPathStep]? {
    var rest = steps[...]
    var whole: [KVMPathStep] = []
    var depth = 0
    let check = rest.last?.function == KVMRoute.reservedBitCheck.name ? [KVMRoute.reservedBitCheck] : []
    for function in route.functions + check {
      var step = KVMPathStep(
        function: function.name, depth: depth, role: function.role, given: [], answer: nil, source: KVMRoute.source)
      if let recorded = rest.first, recorded.function == function.name {
        step = recorded
        step.depth = depth
        rest.removeFirst()
      }
      whole.append(step)
      if !function.hasReturned { depth += 1 }
    }
    return rest.isEmpty ? whole : nil
  }
}

extension Source {
  fileprivate var isExit: Bool {
    if case .trace("kvm_exit", _) = self { true } else { false }
  }
}

extension KVMEvent {
  fileprivate var isExit: Bool {
    if case .exit = self { true } else { false }
  }

  fileprivate var beginsWalk: Bool {
    if case .pagetableWalk = self { true } else { false }
  }

  /// Whether KVM is done with an exit.
  fileprivate var leavesKVM: Bool {
    switch self {
    case .entry, .userspaceExit: true
    default: false
    }
  }
}
