import Files

/// Goes through the samples of a perf.data in the order of their times.
///
/// The file holds what perf copied from the CPUs' buffers, one after the other, in rounds: after a FINISHED_ROUND
/// nothing comes that is earlier than the latest record before the FINISHED_ROUND before it (util/ordered-events.c, Linux
/// 6.1). That is as true of every second FINISHED_ROUND, or of any choice of them. perf makes rounds of a few records
/// where it keeps up with the kernel, so here a round ends with the first FINISHED_ROUND of a stretch of the file. Two
/// rounds at a time are merged; what is remembered of them is only where each CPU's stretch lies.
struct PerfDataCursor {
  private let memory: MappedMemory
  private let events: RecordedEvents
  private let samples: PerfSamples
  private let machine: RecordingMachine
  private let taskNames: TaskNames
  private let records: Range<Int>
  private let cpus: Set<Int>?
  private var tasks = TaskTable()

  /// Where the next round begins.
  private var scanned: Int
  private var scanner = PerfRunScanner()
  /// Up to which time records may be given; and up to which after the next round.
  private var limit: UInt64 = 0
  private var nextLimit: UInt64 = 0
  private var damage: TraceDamage?

  /// The runs that are being merged. A run's number in the queue is its place here and the number of those before it
  /// that are gone.
  private var readers: [RunReader] = []
  private var gone = 0
  private var queue = RunQueue()
  private var released: Int
  private var skipped = 0
  private(set) var losses = PerfLosses()

  /// - Parameter roundSize: see `PerfDataCursor.roundSize`.
  init(_ file: PerfDataFile, cpus: Set<Int>?, roundSize: Int = Self.roundSize) {
    self.roundSize = roundSize
    memory = file.memory
    events = file.context.events
    samples = PerfSamples(file)
    machine = file.context.machine
    taskNames = file.context.taskNames
    records = file.records
    scanned = records.lowerBound
    released = scanned
    damage = file.damage
    self.cpus = cpus
    // The idle task's name, which no record tells (util/machine.c: machine__create_kernel_maps and thread 0).
    tasks[0] = taskNames.name(for: "swapper")
  }

  mutating func forEach<Failure: Error>(
    _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) {
    while true {
      guard let first = queue.first, first.time <= limit else {
        if place != nil { return }
        guard scanRound() else {
          try giveEnd(body)
          return
        }
        continue
      }
      queue.removeFirst()
      let walk = try give(first.sequence, until: queue.first, body)
      if isRoundLong { dropFinishedRuns() }
      if walk == .stop { return }
    }
  }

  /// Gives what was damaged or lost somewhere in the file. To a part of a walk the whole's losses are not known.
  private mutating func giveEnd<Failure: Error>(
    _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) {
    if let damage {
      let walk = try body(.damage(damage))
      self.damage = nil
      if walk == .stop { return }
    }
    if partEnd == nil, let lost = losses.elsewhere {
      _ = try body(.lost(lost, buffer: 0, time: latest))
      losses.settle()
    }
  }

  // MARK: Rounds

  /// A round ends with the first FINISHED_ROUND that begins at or behind a multiple of this, counted from the first
  /// record: so many bytes stay in the processor's cache until they are given, and so many records make the work for a
  /// round too little to count.
  static let roundSize = 1 << 17
  private let roundSize: Int

  /// A round longer than this is not kept in memory between the scan and the giving; without an end of rounds, a file is
  /// one round.
  private static let longRound = 1 << 22
  private var isRoundLong = false
  /// More runs than perf makes of any machine's buffers end a round: what is remembered of it stays bounded.
  private static let mostRuns = 1 << 16

  /// How far ahead of the scan the file's bytes are brought into the processor's cache.
  private static let readAhead = 2048
  /// Keeps the bytes touched on the way from being left out as useless.
  private var lastTouched: UInt8 = 0

  /// Finds the runs of the next round; false when there is nothing more.
  private mutating func scanRound() -> Bool {
    dropFinishedRuns()
    guard scanned < records.upperBound else {
      // All that is left may be given.
      defer { limit = .max }
      return limit != .max && queue.first != nil
    }
    roundStart = scanned
    let isFinished = scan()
    limit = isFinished ? nextLimit : .max
    nextLimit = scanner.latest
    for run in scanner.runs { add(run) }
    scanner.removeRuns()
    given = nil
    queue.sort()
    return true
  }

  private mutating func add(_ run: PerfRun) {
    let number = gone + readers.count
    var reader = RunReader(run)
    if let given {
      repeat { reader.next(memory.bytes, samples, machine.byteOrder) } while !reader.isFinished && reader.time <= given
      guard !reader.isFinished else { return }
      queue.insert(MergeQueue.Entry(time: reader.time, sequence: number))
    } else {
      queue.add(MergeQueue.Entry(time: run.earliest, sequence: number))
    }
    readers.append(reader)
  }

  /// Looks at the records up to the end of the round; false if they end before it.
  private mutating func scan() -> Bool {
    // Held by local variables alone, so that they are neither counted nor copied for each record.
    let memory = memory
    let bytes = memory.bytes
    let samples = samples
    let byteOrder = machine.byteOrder
    let end = records.upperBound
    var scanner = scanner
    self.scanner = PerfRunScanner()
    var offset = scanned
    var touched = lastTouched
    let roundEnd =
      records.lowerBound + ((offset - records.lowerBound - PerfRecord.headSize) / roundSize + 1) * roundSize
    var isFinished = false
    var kept = offset
    isRoundLong = false
    while offset < end, !isFinished {
      if offset &- kept > Self.longRound {
        memory.release(kept..<offset)
        kept = offset
        isRoundLong = true
        isFinished = scanner.runs.count >= Self.mostRuns
      }
      // Where a record ends is known only once its head is there: the processor cannot read ahead by itself.
      if offset &+ Self.readAhead < end { touched |= bytes.byte(at: offset &+ Self.readAhead) }
      let record: PerfRecord
      do throws(TraceDamage.Problem) {
        record = try PerfRecord(bytes, at: offset, limit: end, byteOrder)
      } catch {
        damage = damage ?? TraceDamage(problem: error, offset: offset, buffer: 0)
        scanner.finish(offset)
        offset = end
        break
      }
      switch record.type {
      case .sample, .comm, .fork, .lost, .lostSamples:
        if let time = samples.time(bytes, record) {
          scanner.add(offset, time: time)
        } else if record.type == .comm || record.type == .fork {
          rename(bytes, record)
        } else {
          // Without times the file's order is all there is.
          scanner.add(offset, time: scanner.latest)
        }
      case .finishedRound where offset >= roundEnd:
        isFinished = true
      default:
        break
      }
      offset = record.end
    }
    scanner.finish(offset)
    self.scanner = scanner
    scanned = offset
    lastTouched = touched
    return isFinished
  }

  /// Forgets the runs at the front that are read, and tells the kernel that their pages are not needed.
  private mutating func dropFinishedRuns() {
    let count = readers.firstIndex { !$0.isFinished } ?? readers.count
    // Those of a long round are removed some at a time, for the others are moved.
    guard !isRoundLong || count >= readers.count / 4 else { return }
    release(before: count < readers.count ? readers[count].range.lowerBound : scanned)
    readers.removeFirst(count)
    gone += count
  }

  private mutating func release(before offset: Int) {
    guard offset - released > 1 << 22 else { return }
    memory.release(released..<offset)
    released = offset
  }

  /// Lets go of the file's pages that were read since the last time.
  func releaseAll() { memory.release(aroundTouched: released..<scanned) }

  // MARK: Walking over a part

  /// Where a walk can be left, and another go on: at the beginning of a round, when all records up to the latest time
  /// before that round are given, and no others.
  struct Place: Hashable, Sendable {
    var offset: Int
    var latest: UInt64
  }

  private var roundStart = 0
  /// A part ends with the first place at or behind this offset.
  private var partEnd: Int?
  /// Up to which time the records of the first round are given already.
  private var given: UInt64?

  /// Goes to a place, without the names of threads that are told before it.
  mutating func start(at place: Place) {
    scanned = place.offset
    released = place.offset
    scanner = PerfRunScanner(latest: place.latest)
    nextLimit = place.latest
    given = place.latest
  }

  /// Ends the walk early: `place` then tells where.
  mutating func stop(behind offset: Int) { partEnd = offset }

  /// The latest time met so far.
  var latest: UInt64 { scanner.latest }

  /// Where the walk ended early; nil if it did not.
  var place: Place? {
    guard let partEnd, roundStart >= partEnd, limit != .max else { return nil }
    return Place(offset: roundStart, latest: limit)
  }

  // MARK: Records

  /// Gives the records of a run that come before those of all others.
  private mutating func give<Failure: Error>(
    _ number: Int, until next: MergeQueue.Entry?, _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) -> Walk {
    let memory = memory
    let samples = samples
    let byteOrder = machine.byteOrder
    var reader = readers[number - gone]
    // Held by the local variable alone, so that it is not copied when it changes.
    readers[number - gone] = RunReader.finished
    if !reader.hasRecord { reader.next(memory.bytes, samples, byteOrder) }
    let limitTime = min(next?.time ?? .max, limit)
    let limitSequence = next.map { $0.time <= limit ? $0.sequence : .max } ?? .max
    defer {
      if !reader.isFinished {
        queue.insert(MergeQueue.Entry(time: reader.time, sequence: number))
      } else if isRoundLong, reader.range.count >= 1 << 15 {
        memory.release(reader.range)
      }
      readers[number - gone] = reader
    }
    while !reader.isFinished,
      reader.time < limitTime || (reader.time == limitTime && number < limitSequence)
    {
      let record = reader.record
      let walk: Walk
      if record.type == .sample {
        walk = try giveSample(memory.bytes, record, time: reader.time, body)
      } else {
        walk = try giveOther(memory.bytes, record, time: reader.time, body)
      }
      reader.next(memory.bytes, samples, byteOrder)
      if walk == .stop { return .stop }
    }
    return .proceed
  }

  @inline(__always)
  private mutating func giveSample<Failure: Error>(
    _ bytes: RawSpan, _ record: PerfRecord, time: UInt64, _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) -> Walk {
    if skipped > 0 {
      skipped -= 1
      return .proceed
    }
    let content: PerfSamples.Content
    switch samples.content(bytes, record.range, threadIDOffset: events.threadIDLocation.offset) {
    case .sample(let found):
      content = found
    case .damaged(let problem, let cpu):
      return try body(.damage(TraceDamage(problem: problem, offset: record.range.lowerBound, cpu: cpu, buffer: 0)))
    }
    if let cpus, !cpus.contains(content.cpu) { return .proceed }
    let payload = bytes.extracting(content.payload)
    var event = content.event
    if event < 0, payload.byteCount >= 2 {
      event = events.index(ofType: payload.load(UInt16.self, at: 0, machine.byteOrder))
    }
    return try body(
      .event(
        TraceEvent(
          time: time, payload: payload, cpu: content.cpu, threadID: content.threadID, eventIndex: event, buffer: 0,
          taskName: tasks[content.threadID])))
  }

  private mutating func giveOther<Failure: Error>(
    _ bytes: RawSpan, _ record: PerfRecord, time: UInt64, _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) -> Walk {
    switch record.type {
    case .comm, .fork:
      rename(bytes, record)
      return .proceed
    case .lost, .lostSamples:
      guard let loss = samples.loss(bytes, record), cpus.map({ loss.cpu.map($0.contains) ?? true }) ?? true else {
        return .proceed
      }
      losses.add(loss)
      guard !loss.isTotal, skipped == 0 else { return .proceed }
      return try body(.lost(LostEvents(cpu: loss.cpu, count: loss.count), buffer: 0, time: time))
    default:
      return .proceed
    }
  }

  /// COMM: u32 pid, u32 tid, the name. FORK: u32 pid, u32 ppid, u32 tid, u32 ptid; the new thread has its parent's name.
  private mutating func rename(_ bytes: RawSpan, _ record: PerfRecord) {
    let body = bytes.extracting((record.range.lowerBound + PerfRecord.headSize)..<record.range.upperBound)
    guard body.byteCount >= 16 else { return }
    if record.type == .comm {
      let threadID = body.load(Int32.self, at: 4, machine.byteOrder)
      tasks[threadID] = taskNames.name(for: body.extracting(8..<body.byteCount).cString)
    } else {
      let threadID = body.load(Int32.self, at: 8, machine.byteOrder)
      let parent = body.load(Int32.self, at: 12, machine.byteOrder)
      let name = tasks[parent]
      if threadID != parent, name != .unknown { tasks[threadID] = name }
    }
  }

  // MARK: Starting elsewhere than at the beginning

  /// Starts at the last `count` events.
  mutating func startAtLast(_ count: Int, by index: PerfDataIndex) {
    guard count > 0 else {
      scanned = records.upperBound
      return
    }
    let round = index.round(ofLast: count)
    start(at: round, index)
    skipped = max(index.sampleCount - round.samplesBefore - count, 0)
  }

  /// Starts at the last place before which all is earlier than `time`.
  mutating func start(at time: UInt64, by index: PerfDataIndex) { start(at: index.round(before: time), index) }

  private mutating func start(at round: PerfDataIndex.Round, _ index: PerfDataIndex) {
    scanned = round.offset
    let memory = memory
    released = scanned
    losses = round.lossesBefore
    // In the order of time, for a name passes from a thread to those that it starts.
    let names = index.names.filter { $0.offset < round.offset }.sorted { ($0.time, $0.offset) < ($1.time, $1.offset) }
    for name in names {
      guard let record = try? PerfRecord(memory.bytes, at: name.offset, limit: records.upperBound, machine.byteOrder)
      else { continue }
      rename(memory.bytes, record)
    }
  }
}

/// Reads the records of a run one by one, the earliest first.
struct RunReader {
  let range: Range<Int>
  /// Where the next record of a rising run begins.
  private var position: Int
  /// The places of a falling run's records that come next, the earliest last; nil for a rising run.
  private var listed: [Int]?
  private let isFalling: Bool
  private(set) var isFinished = false
  /// The current record, once there is one, and its time.
  private(set) var record = PerfRecord.none
  private(set) var time: UInt64

  static let finished: RunReader = {
    var reader = RunReader(PerfRun(range: 0..<0, order: .rising, earliest: 0))
    reader.isFinished = true
    return reader
  }()

  init(_ run: PerfRun) {
    range = run.range
    position = run.range.lowerBound
    isFalling = run.order == .falling
    time = run.earliest
  }

  var hasRecord: Bool { record.end > 0 }

  /// Goes to the next record that matters.
  @inline(__always)
  mutating func next(_ bytes: RawSpan, _ samples: PerfSamples, _ byteOrder: ByteOrder) {
    while let offset = isFalling ? nextFalling(bytes, byteOrder) : nextRising() {
      // The run was found by reading these records; they are as they were.
      guard let record = try? PerfRecord(bytes, at: offset, limit: range.upperBound, byteOrder) else { break }
      position = record.end
      switch record.type {
      case .sample, .comm, .fork, .lost, .lostSamples:
        if let time = samples.time(bytes, record) {
          self.time = time
        } else if record.type == .comm || record.type == .fork {
          continue
        }
        self.record = record
        return
      default:
        continue
      }
    }
    isFinished = true
  }

  @inline(__always)
  private func nextRising() -> Int? { position < range.upperBound ? position : nil }

  /// The record before the current one.
  private mutating func nextFalling(_ bytes: RawSpan, _ byteOrder: ByteOrder) -> Int? {
    if listed == nil { list(bytes, byteOrder) }
    return listed?.popLast()
  }

  private mutating func list(_ bytes: RawSpan, _ byteOrder: ByteOrder) {
    var listed: [Int] = []
    var offset = range.lowerBound
    while offset < range.upperBound, let record = try? PerfRecord(bytes, at: offset, limit: range.upperBound, byteOrder)
    {
      listed.append(offset)
      offset = record.end
    }
    self.listed = listed
  }
}

extension PerfRecord {
  fileprivate static let none = PerfRecord(type: Kind(rawValue: 0), range: 0..<0, end: 0)

  private init(type: Kind, range: Range<Int>, end: Int) {
    self.type = type
    self.range = range
    self.end = end
  }
}
