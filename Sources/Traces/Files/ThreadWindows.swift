/// The events of some threads up to an event that is looked for, such as a vCPU's last, deadly exit.
///
/// Of each thread that had such an event, these are the events up to the last of them; of a trace without any, the
/// trace's last events. The trace is looked at once on all cores, in no order, and then read in order only around the
/// windows. Memory is bounded by the number of threads and cores.
public struct ThreadWindows: Sendable {
  /// The number of all events of the trace.
  public let eventCount: Int
  /// What could not be read, at most as many as one would read.
  public let damage: [TraceDamage]

  private let file: TraceFile
  private let size: Int
  private let index: PerfDataIndex?
  private var ranges: [TimeRange] = []

  /// A stretch of time, in which windows overlap.
  private struct TimeRange: Sendable {
    var start: UInt64
    var end: UInt64
    var threads: Set<Int32>
    /// The numbers of each thread's events, counted from the first event that is read from `start` on.
    var windows: [Int32: ClosedRange<Int>] = [:]
  }

  /// - Parameters:
  ///   - pattern: what is looked for; nil if the trace has no such events.
  ///   - size: how many events a window has, with the last.
  public init(_ file: TraceFile, before pattern: EventPattern?, size: Int) {
    self.file = file
    self.size = size
    let tally: RecordTally
    switch file.content {
    case .traceDat(let file):
      index = nil
      tally = RecordTally(file, lookingFor: pattern, in: file.context.events)
    case .perfData(let file):
      let made = PerfDataIndex(file, lookingFor: pattern, hasTally: true)
      index = made
      tally = made.tally
    }
    eventCount = tally.eventCount
    damage = tally.damage
    guard let pattern, !tally.lastMatches.isEmpty else { return }
    if tally.isInOrder {
      ranges = timeRanges(tally)
      for index in ranges.indices { ranges[index].windows = windows(in: ranges[index], before: pattern) }
      let areFound = ranges.allSatisfy { $0.windows.count == $0.threads.count }
      if areFound { return }
    }
    // Times that jump about tell no place: then the whole trace is read in its order.
    var all = TimeRange(start: 0, end: .max, threads: Set(tally.lastMatches.keys))
    all.windows = windows(in: all, before: pattern)
    ranges = [all]
  }

  private func timeRanges(_ tally: RecordTally) -> [TimeRange] {
    let each = tally.lastMatches.map { thread, end in
      TimeRange(start: tally.start(ofLast: size, of: thread, before: end), end: end, threads: [thread])
    }
    var ranges: [TimeRange] = []
    for range in each.sorted(by: { $0.start < $1.start }) {
      guard let last = ranges.indices.last, ranges[last].end >= range.start else {
        ranges.append(range)
        continue
      }
      ranges[last].end = max(ranges[last].end, range.end)
      ranges[last].threads.formUnion(range.threads)
    }
    return ranges
  }

  private func cursor(at range: TimeRange) -> TraceCursor {
    var cursor = file.cursor()
    if range.start > 0 { cursor.start(at: range.start, by: index) }
    return cursor
  }

  private func windows(in range: TimeRange, before pattern: EventPattern) -> [Int32: ClosedRange<Int>] {
    var histories = Histories(windowSize: size)
    var windows: [Int32: ClosedRange<Int>] = [:]
    var position = 0
    var cursor = cursor(at: range)
    cursor.forEach { item in
      guard case .event(let event) = item else { return .proceed }
      if event.time > range.end { return .stop }
      if range.threads.contains(event.threadID) {
        let first = histories.append(position, of: event.threadID)
        if pattern.matches(event) { windows[event.threadID] = first...position }
      }
      position += 1
      return .proceed
    }
    return windows
  }

  /// Gives the events of the windows in the order of their times, and what is missing or damaged between them.
  public func forEach(_ body: (borrowing TraceItem) -> Void) {
    guard !ranges.isEmpty else {
      var cursor = file.cursor()
      cursor.startAtLast(size, by: index)
      cursor.forEach { item in
        body(item)
        return .proceed
      }
      return
    }
    for range in ranges { forEach(in: range, body) }
  }

  private func forEach(in range: TimeRange, _ body: (borrowing TraceItem) -> Void) {
    // What is missing matters within the windows.
    var spans = ArraySlice(Self.merged(range.windows.values))
    guard let last = spans.last?.upperBound else { return }
    var position = 0
    var cursor = cursor(at: range)
    cursor.forEach { item in
      guard case .event(let event) = item else {
        while let span = spans.first, span.upperBound < position { spans.removeFirst() }
        if spans.first?.contains(position) == true { body(item) }
        return .proceed
      }
      if range.windows[event.threadID]?.contains(position) == true { body(item) }
      position += 1
      return position > last ? .stop : .proceed
    }
  }

  private static func merged(_ ranges: some Sequence<ClosedRange<Int>>) -> [ClosedRange<Int>] {
    var merged: [ClosedRange<Int>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, last.upperBound >= range.lowerBound {
        merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
    return merged
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
