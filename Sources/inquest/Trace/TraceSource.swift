import Traces

/// The selected items of a trace, from some place on.
struct TraceSource {
  var cursor: TraceCursor
  var selection: EventSelection
  /// The number of selected events to pass over first.
  private var skipped = 0
  private var isFinished = false

  init(cursor: TraceCursor, selection: EventSelection) {
    self.cursor = cursor
    self.selection = selection
  }

  /// Fills a batch; false when there is nothing more.
  mutating func fill(_ batch: inout EventBatch) throws(TraceFileError) -> Bool {
    guard !isFinished else { return false }
    var hasMore = false
    try forEach { item throws(TraceFileError) in
      let walk = try batch.append(item)
      if walk == .stop { hasMore = true }
      return walk
    }
    return hasMore
  }

  /// Gives the selected items.
  mutating func forEach<Failure: Error>(
    _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) {
    if selection.takesAll, selection.latest == .max, skipped == 0 {
      try cursor.forEach(body)
      return
    }
    var selection = selection
    var skipped = skipped
    var isFinished = isFinished
    defer {
      self.selection = selection
      self.skipped = skipped
      self.isFinished = isFinished
    }
    let latest = selection.latest
    let takesAll = selection.takesAll
    try cursor.forEach { item throws(Failure) in
      if case .event(let event) = item {
        if event.time > latest {
          isFinished = true
          return .stop
        }
        if !takesAll, !selection.includes(event) { return .proceed }
        if skipped > 0 {
          skipped -= 1
          return .proceed
        }
      }
      return try body(item)
    }
  }

  /// Goes to the last selected events.
  ///
  /// How far back they lie is not known when only some are selected: so ever larger ends of the trace are tried.
  mutating func startAtLast(_ count: Int, of trace: TraceFile, cpus: Set<Int>?) {
    if selection.takesAll, selection.latest == .max {
      cursor.startAtLast(count)
      return
    }
    var tried = max(count, 1024)
    while true {
      var end = TraceSource(cursor: trace.cursor(cpus: cpus), selection: selection)
      end.cursor.startAtLast(tried)
      var all = 0
      var found = 0
      // Everything is counted, to know whether the whole trace was tried.
      let latest = selection.latest
      var selection = selection
      end.cursor.forEach { item in
        guard case .event(let event) = item else { return .proceed }
        all += 1
        if event.time <= latest, selection.includes(event) { found += 1 }
        return .proceed
      }
      if found >= count || all < tried {
        cursor = trace.cursor(cpus: cpus)
        cursor.startAtLast(tried)
        self.selection = selection
        skipped = max(found - count, 0)
        return
      }
      tried = tried > Int.max / 16 ? Int.max : tried * 16
    }
  }

  /// Goes near the first selected time.
  mutating func startAtFrom() {
    if selection.earliest > 0 { cursor.start(at: selection.earliest) }
  }
}
