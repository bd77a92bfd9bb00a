/// A stretch of records whose times only rise, or only fall: what perf copied from one CPU's buffer at once.
///
/// They fall in recordings made with `--overwrite`, where the kernel fills the buffer from its end to its beginning.
struct PerfRun {
  enum Order {
    case rising
    case falling
  }

  var range: Range<Int>
  var order: Order
  /// For falling times the places in the range, some records apart, from which its records can be found.
  var marks: [Int] = []
}

/// Finds the runs of a stretch of records.
struct PerfRunScanner {
  private(set) var runs: [PerfRun] = []
  /// The latest time seen so far.
  private(set) var latest: UInt64 = 0

  private var start: Int?
  private var order: PerfRun.Order?
  private var last: UInt64 = 0
  private var marks: [Int] = []

  /// The distance of marks. The records between two are listed when they are read backwards.
  private static let markDistance = 1 << 16

  /// Takes the next record that has a time. Records must be given in the file's order.
  @inline(__always)
  mutating func add(_ offset: Int, time: UInt64) {
    if time > latest { latest = time }
    defer { last = time }
    guard start != nil else {
      begin(offset)
      return
    }
    switch order {
    case .rising where time >= last, .falling where time <= last:
      break
    case nil:
      if time != last { order = time > last ? .rising : .falling }
    default:
      finish(offset)
      begin(offset)
      return
    }
    if order != .rising, let mark = marks.last, offset - mark >= Self.markDistance { marks.append(offset) }
  }

  private mutating func begin(_ offset: Int) {
    start = offset
    order = nil
    marks = [offset]
  }

  /// Ends the current run before `offset`.
  mutating func finish(_ offset: Int) {
    guard let start else { return }
    let order = order ?? .rising
    runs.append(PerfRun(range: start..<offset, order: order, marks: order == .falling ? marks : []))
    self.start = nil
  }

  /// Hands over the runs found.
  mutating func takeRuns() -> [PerfRun] {
    defer { runs.removeAll(keepingCapacity: true) }
    return runs
  }
}
