import Files

/// Goes through the events of a trace.dat in the order of their times, over all CPUs and buffers.
struct TraceDatCursor {
  private let machine: RecordingMachine
  private let events: RecordedEvents
  private var streams: [CPUStream]
  private var tasks: TaskTable
  private var queue = MergeQueue()
  /// The streams that must go to their next event before the earliest can be told.
  private var unready: [Int]
  /// The number of events to pass over before any is given.
  private var skipped = 0

  /// - Parameter cpus: the CPUs to read; nil for all.
  init(_ file: TraceDatFile, cpus: Set<Int>?) {
    machine = file.context.machine
    events = file.context.events
    tasks = file.tasks
    streams = file.data.filter { cpus?.contains($0.cpu) ?? true }
      .map { CPUStream(CPUPages($0, in: file.memory), clock: file.clock) }
    unready = Array(streams.indices.reversed())
  }

  mutating func forEach<Failure: Error>(
    _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) {
    while true {
      while let index = unready.last {
        switch streams[index].advance() {
        case .event:
          unready.removeLast()
          queue.insert(MergeQueue.Entry(time: streams[index].time, sequence: index))
        case .damage(let damage):
          if try body(.damage(damage)) == .stop { return }
        case .end:
          unready.removeLast()
        }
      }
      guard let first = queue.first else { return }
      queue.removeFirst()
      if try give(first.sequence, until: queue.first, body) == .stop { return }
    }
  }

  /// Gives the events of a stream that come before those of all others. Afterwards the stream is in the queue or among
  /// the unready.
  @inline(__always)
  private mutating func give<Failure: Error>(
    _ index: Int, until limit: MergeQueue.Entry?, _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) -> Walk {
    let memory = streams[index].pages.memory
    let byteOrder = machine.byteOrder
    let cpu = streams[index].pages.data.cpu
    let buffer = streams[index].pages.data.buffer
    let clock = streams[index].clock
    let threadIDOffset = events.threadIDLocation.offset
    let limitTime = limit?.time ?? .max
    let limitSequence = limit?.sequence ?? .max
    var page = streams[index].page
    var time = streams[index].time
    var isReady = true
    defer {
      streams[index].page = page
      streams[index].time = time
      if isReady { queue.insert(MergeQueue.Entry(time: time, sequence: index)) } else { unready.append(index) }
    }
    if let lost = streams[index].takeLost(), skipped == 0 {
      let item = LostEvents(cpu: cpu, count: lost.count)
      if try body(.lost(item, buffer: buffer, time: time)) == .stop { return .stop }
    }
    repeat {
      var walk = Walk.proceed
      if skipped > 0 {
        skipped -= 1
      } else {
        let payload = memory.bytes.extracting(page.recordStart..<(page.recordStart &+ page.recordCount))
        var type: Int32 = -1
        var threadID: Int32 = -1
        if page.recordCount >= 2 {
          type = events.index(ofType: payload.load(UInt16.self, at: 0, byteOrder))
          if page.recordCount >= threadIDOffset &+ 4 {
            threadID = payload.load(Int32.self, at: threadIDOffset, byteOrder)
          }
        }
        walk = try body(
          .event(
            TraceEvent(
              time: time, payload: payload, cpu: cpu, threadID: threadID, eventIndex: type, buffer: buffer,
              taskName: tasks[threadID])))
      }
      switch page.next(in: memory.bytes, byteOrder) {
      case .event:
        time = clock.isPlain ? page.time &+ clock.offset : clock.convert(page.time, cpu: cpu)
      case .end:
        isReady = false
      case .damaged:
        isReady = false
        streams[index].noteDamage(page)
      }
      if walk == .stop { return .stop }
    } while isReady && (time < limitTime || (time == limitTime && index < limitSequence))
    return .proceed
  }

  // MARK: Starting elsewhere than at the beginning

  /// Starts at the last `count` events: of each CPU only as many of the last pages are read as hold that many.
  mutating func startAtLast(_ count: Int) {
    guard count > 0 else {
      unready = []
      return
    }
    var total = 0
    for index in streams.indices { total += streams[index].startAtLast(count) }
    skipped = max(total - count, 0)
  }

  /// Starts, on each CPU, at the last page that begins before this time.
  mutating func start(at time: UInt64) {
    for index in streams.indices { streams[index].start(at: time) }
  }
}

/// The events of one CPU, one after the other.
private struct CPUStream {
  var pages: CPUPages
  let clock: TraceClock
  var page = RingBufferPageCursor()
  /// The current event's time, as shown.
  var time: UInt64 = 0
  private var lost: CPUPages.Lost?
  private var damage: TraceDamage?

  enum Step {
    case event
    case damage(TraceDamage)
    case end
  }

  init(_ pages: CPUPages, clock: TraceClock) {
    self.pages = pages
    self.clock = clock
  }

  /// Goes to the next event.
  mutating func advance() -> Step {
    while true {
      if let damage {
        self.damage = nil
        return .damage(damage)
      }
      let memory = pages.memory
      switch page.next(in: memory.bytes, pages.data.layout.byteOrder) {
      case .event:
        time = clock.convert(page.time, cpu: pages.data.cpu)
        return .event
      case .damaged:
        noteDamage(page)
      case .end:
        switch pages.nextPage() {
        case .page(let next, let lostBefore):
          page = next
          // A page without events passes its mark on.
          lost = lostBefore ?? lost
        case .damage(let problem, let offset):
          page = RingBufferPageCursor()
          return .damage(TraceDamage(problem: problem, offset: offset, cpu: pages.data.cpu, buffer: pages.data.buffer))
        case .end:
          return .end
        }
      }
    }
  }

  mutating func noteDamage(_ page: RingBufferPageCursor) {
    damage = TraceDamage(
      problem: .eventBeyondPage, offset: pages.fileOffset(page.recordStart), cpu: pages.data.cpu,
      buffer: pages.data.buffer)
  }

  mutating func takeLost() -> CPUPages.Lost? {
    defer { lost = nil }
    return lost
  }

  /// Goes back from the end unit by unit until `count` events lie ahead; gives how many do.
  mutating func startAtLast(_ count: Int) -> Int {
    let units = pages.countUnits()
    var unit = units
    var total = 0
    while unit > 0, total < count {
      unit -= 1
      pages.enter(unit: unit, count: 1)
      page = RingBufferPageCursor()
      total += countEvents()
    }
    enter(unit, of: units)
    return total
  }

  mutating func start(at time: UInt64) {
    let units = pages.countUnits()
    var low = 0
    var high = units
    while high - low > 1 {
      let middle = (low + high) / 2
      enter(middle, of: units)
      // The first event of the unit; a unit without any counts as early.
      var isEarly = true
      walk: while true {
        switch advance() {
        case .event:
          isEarly = self.time < time
          break walk
        case .damage: continue
        case .end: break walk
        }
      }
      if isEarly { low = middle } else { high = middle }
    }
    enter(low, of: units)
  }

  private mutating func enter(_ unit: Int, of units: Int) {
    if unit < units { pages.enter(unit: unit, count: units - unit) }
    page = RingBufferPageCursor()
    lost = nil
    damage = nil
  }

  private mutating func countEvents() -> Int {
    var count = 0
    while true {
      switch advance() {
      case .event: count += 1
      case .damage: continue
      case .end: return count
      }
    }
  }
}
