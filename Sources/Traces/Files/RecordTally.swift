/// What a look at all records of a trace, in any order, tells of its threads.
///
/// The trace is looked at in pieces, on all cores and without merging the CPUs by time. So it says where in time a
/// thread's events lie only to within a piece; the events themselves are then read in order, and only there.
struct RecordTally: Sendable {
  private(set) var eventCount = 0
  /// The last time at which a thread had one of the events looked for.
  private(set) var lastMatches: [Int32: UInt64] = [:]
  /// Whether the times of each CPU never fall. Where they do, time is no way to find a place.
  private(set) var isInOrder = true
  private(set) var damage: [TraceDamage] = []

  private var stretches: [Int32: [Stretch]] = [:]
  private var stretchCount = 0

  static let mostDamage = 16
  /// How many stretches are told apart: some megabytes.
  private static let mostStretches = 1 << 17

  /// Events of one thread that lie in one piece.
  struct Stretch: Sendable {
    var count = 0
    var earliest = UInt64.max
    var latest: UInt64 = 0
    fileprivate var lastMatch: UInt64?
  }

  /// One piece's part of it.
  struct Piece: Sendable {
    fileprivate var threads: [Int32: Stretch] = [:]
    /// The thread of the last event, which is nearly always that of the next.
    private var thread: Int32 = -1
    private var stretch = Stretch()
    fileprivate var damage: [TraceDamage] = []

    @inline(__always)
    mutating func add(_ time: UInt64, _ threadID: Int32, isMatch: Bool) {
      if threadID != thread { select(threadID) }
      stretch.count &+= 1
      if time < stretch.earliest { stretch.earliest = time }
      if time > stretch.latest { stretch.latest = time }
      if isMatch { stretch.lastMatch = max(time, stretch.lastMatch ?? 0) }
    }

    mutating func add(_ problem: TraceDamage) {
      if damage.count < mostDamage { damage.append(problem) }
    }

    private mutating func select(_ threadID: Int32) {
      settle()
      thread = threadID
      stretch = threads[threadID] ?? Stretch()
    }

    /// To be called after the last event.
    mutating func settle() {
      if stretch.count > 0 { threads[thread] = stretch }
    }
  }

  /// Adds a piece; those of a CPU in their order.
  mutating func add(_ piece: Piece) {
    for (thread, stretch) in piece.threads {
      eventCount += stretch.count
      if let match = stretch.lastMatch { lastMatches[thread] = max(match, lastMatches[thread] ?? 0) }
      if stretchCount < Self.mostStretches || stretches[thread] == nil {
        stretches[thread, default: []].append(stretch)
        stretchCount += 1
      } else if var last = stretches[thread]?.popLast() {
        last.count += stretch.count
        last.earliest = min(last.earliest, stretch.earliest)
        last.latest = max(last.latest, stretch.latest)
        stretches[thread]?.append(last)
      }
    }
    damage += piece.damage.prefix(max(Self.mostDamage - damage.count, 0))
  }

  mutating func noteDisorder() { isInOrder = false }

  /// A time from which at least `count` events of a thread lie before `end`, or from which all of them follow.
  func start(ofLast count: Int, of thread: Int32, before end: UInt64) -> UInt64 {
    let stretches = stretches[thread, default: []].sorted { $0.earliest > $1.earliest }
    var found = 0
    for stretch in stretches where stretch.latest < end {
      found += stretch.count
      // Stretches that begin later but end behind `end` may begin before it too.
      if found >= count { return stretch.earliest }
    }
    return stretches.last?.earliest ?? 0
  }
}
