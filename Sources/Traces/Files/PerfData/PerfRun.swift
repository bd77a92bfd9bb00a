/// A stretch of records whose times only rise, or only fall: what perf copied from one CPU's buffer at once, or a part of
/// it.
///
/// They fall in recordings made with `--overwrite`, where the kernel fills the buffer from its end to its beginning.
struct PerfRun {
  enum Order {
    case rising
    case falling
  }

  var range: Range<Int>
  var order: Order
  var earliest: UInt64
}

/// Finds the runs of a stretch of records.
struct PerfRunScanner {
  /// In the file's order, but where times fall: there the parts of a run follow each other from its end to its beginning.
  private(set) var runs: [PerfRun] = []
  /// The latest time seen so far.
  private(set) var latest: UInt64

  private var start: Int?
  private var order: PerfRun.Order?
  private var first: UInt64 = 0
  private var last: UInt64 = 0
  /// How many runs there were before the current one.
  private var runsBefore = 0

  /// Longer runs are cut, so that what is read can be let go. Falling times are read backwards, and the places of records
  /// listed for that.
  private static let longestRising = 1 << 20
  private static let longestFalling = 1 << 16

  /// - Parameter latest: the latest time of the records that came before.
  init(latest: UInt64 = 0) { self.latest = latest }

  /// Takes the next record that has a time. Records must be given in the file's order.
  @inline(__always)
  mutating func add(_ offset: Int, time: UInt64) {
    if time > latest { latest = time }
    defer { last = time }
    guard let start else {
      begin(offset, time)
      return
    }
    switch order {
    case .rising where time >= last:
      if offset &- start >= Self.longestRising { cut(offset, time) }
    case .falling where time <= last:
      if offset &- start >= Self.longestFalling { cut(offset, time) }
    case nil:
      if time != last { order = time > last ? .rising : .falling }
    default:
      finish(offset)
      begin(offset, time)
    }
  }

  private mutating func begin(_ offset: Int, _ time: UInt64) {
    start = offset
    order = nil
    first = time
  }

  /// Lets the run go on as another.
  private mutating func cut(_ offset: Int, _ time: UInt64) {
    endRun(offset)
    start = offset
    first = time
  }

  private mutating func endRun(_ offset: Int) {
    guard let start else { return }
    let order = order ?? .rising
    runs.append(PerfRun(range: start..<offset, order: order, earliest: order == .rising ? first : last))
  }

  /// Ends the current run before `offset`.
  mutating func finish(_ offset: Int) {
    endRun(offset)
    if order == .falling { runs[runsBefore...].reverse() }
    runsBefore = runs.count
    start = nil
  }

  /// Forgets the runs found, all of which must be finished.
  mutating func removeRuns() {
    runs.removeAll(keepingCapacity: true)
    runsBefore = 0
  }
}
