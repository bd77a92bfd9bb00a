public import Traces

/// What a binary trace holds of the deaths in it: of each thread that KVM reported one for, the events before the last.
///
/// A trace may hold millions of events, and a verdict needs the last few of each vCPU that died. So the trace is walked
/// over once for the deaths, decoding nothing else, and a second time only from where the first of them began. Memory is
/// bounded by the number of threads.
public struct KVMDeathRecords: Sendable {
  /// How many events of a thread are kept before its death: a delivery that fails takes a few dozen.
  private static let windowSize = 4096

  /// In the order of their times. Of a trace without deaths, the events at its end.
  public private(set) var records: [KVMRecord] = []
  /// The indices of the records before which events were lost.
  public private(set) var holes: Set<Int> = []
  /// How many events the trace has.
  public let eventCount: Int
  /// What could not be read, at most as many as one would read.
  public private(set) var damage: [TraceDamage] = []

  public init(_ file: TraceFile) {
    let search = DeathSearch(file, windowSize: Self.windowSize)
    eventCount = search.eventCount
    damage = search.damage
    let start = search.windows.values.map(\.lowerBound).min() ?? max(0, search.eventCount - Self.windowSize)
    read(file, from: start, search.windows)
  }

  private mutating func read(_ file: TraceFile, from start: Int, _ windows: [Int32: ClosedRange<Int>]) {
    var decoders = KVMDecoders(file.context)
    var position = start
    var isAfterHole = false
    var cursor = file.cursor()
    cursor.startAtLast(eventCount - start)
    var records: [KVMRecord] = []
    var holes: Set<Int> = []
    cursor.forEach { item in
      switch item {
      case .event(let event):
        defer { position += 1 }
        guard windows.isEmpty || windows[event.threadID]?.contains(position) == true,
          let record = decoders.record(event)
        else { return .proceed }
        if isAfterHole { holes.insert(records.count) }
        isAfterHole = false
        records.append(record)
      case .lost, .damage: isAfterHole = true
      }
      return .proceed
    }
    self.records = records
    self.holes = holes
  }
}

/// The first walk over a trace: where the deaths are.
private struct DeathSearch {
  private static let mostDamage = 16

  /// Of each thread that died, the numbers of the events from the beginning of its window to its last death.
  private(set) var windows: [Int32: ClosedRange<Int>] = [:]
  private(set) var eventCount = 0
  private(set) var damage: [TraceDamage] = []

  init(_ file: TraceFile, windowSize: Int) {
    guard let exits = FatalExits(file.context) else {
      eventCount = Self.count(file)
      return
    }
    var histories = Histories(windowSize: windowSize)
    var windows: [Int32: ClosedRange<Int>] = [:]
    var damage: [TraceDamage] = []
    var position = 0
    file.forEach { item in
      switch item {
      case .event(let event):
        let first = histories.append(position, of: event.threadID)
        if exits.contains(event) { windows[event.threadID] = first...position }
        position += 1
      case .damage(let problem): if damage.count < Self.mostDamage { damage.append(problem) }
      case .lost: break
      }
      return .proceed
    }
    self.windows = windows
    self.damage = damage
    eventCount = position
  }

  private static func count(_ file: TraceFile) -> Int {
    var count = 0
    file.forEach { item in
      if case .event = item { count += 1 }
      return .proceed
    }
    return count
  }
}

/// Recognises the returns of KVM_RUN that end a guest.
private struct FatalExits {
  private static let reasons: Set<UInt64> = [
    UInt64(UserspaceExitReason.shutdown.rawValue), UInt64(UserspaceExitReason.failEntry.rawValue),
    UInt64(UserspaceExitReason.internalError.rawValue),
  ]

  private let event: Int
  private let reason: FieldLocation

  /// Nil for a trace that does not hold kvm_userspace_exit.
  init?(_ context: TraceContext) {
    guard let event = context.events.index(of: "kvm:kvm_userspace_exit"),
      case .success(let format) = context.events.format(at: event), let reason = format.location(of: "reason")
    else { return nil }
    self.event = event
    self.reason = reason
  }

  func contains(_ event: borrowing TraceEvent) -> Bool {
    guard event.event == self.event, let reason = reason.integer(in: event.payload) else { return false }
    return Self.reasons.contains(reason)
  }
}

/// The numbers of the last events of each thread.
private struct Histories {
  private let windowSize: Int
  private var rings: [[Int]] = []
  private var indices: [Int32: Int] = [:]
  /// The thread met last, which most events share with the one before.
  private var latest: (thread: Int32, index: Int)?
  private var nextSlots: [Int] = []

  init(windowSize: Int) { self.windowSize = windowSize }

  /// Notes an event of a thread and returns the number of the oldest of its last events.
  mutating func append(_ position: Int, of thread: Int32) -> Int {
    let index = index(of: thread)
    if rings[index].count < windowSize {
      rings[index].append(position)
      return rings[index][0]
    }
    let slot = nextSlots[index]
    rings[index][slot] = position
    let next = slot + 1 < windowSize ? slot + 1 : 0
    nextSlots[index] = next
    return rings[index][next]
  }

  private mutating func index(of thread: Int32) -> Int {
    if let latest, latest.thread == thread { return latest.index }
    let index = indices[thread] ?? rings.count
    if index == rings.count {
      indices[thread] = index
      rings.append([])
      nextSlots.append(0)
    }
    latest = (thread, index)
    return index
  }
}

/// The decoders of a trace's events, made when first needed.
private struct KVMDecoders {
  private let context: TraceContext
  private var decoders: [Int: KVMDecoder?] = [:]

  init(_ context: TraceContext) { self.context = context }

  /// The record of an event; nil for one that is not KVM's.
  mutating func record(_ event: borrowing TraceEvent) -> KVMRecord? {
    guard let index = event.event, let decoder = decoder(at: index) else { return nil }
    return KVMRecord(
      time: context.timesAreNanoseconds ? event.time : nil, cpu: event.cpu,
      task: context.taskNames.text(of: event.taskName), threadID: event.threadID,
      event: decoder.decode(event.payload))
  }

  private mutating func decoder(at index: Int) -> KVMDecoder? {
    if let known = decoders[index] { return known }
    var decoder: KVMDecoder?
    if case .success(let format) = context.events.format(at: index) { decoder = KVMDecoder(format: format) }
    decoders[index] = .some(decoder)
    return decoder
  }
}
