/// The runs that are being merged by time, the earliest first.
///
/// Most runs of a round follow each other in time, so few have been begun at once: the others wait in a list, in order.
struct RunQueue {
  /// Those not begun yet, the earliest last.
  private var waiting: [MergeQueue.Entry] = []
  private var begun = MergeQueue()

  init() {}

  @inline(__always)
  var first: MergeQueue.Entry? {
    guard let waiting = waiting.last else { return begun.first }
    guard let begun = begun.first else { return waiting }
    return begun < waiting ? begun : waiting
  }

  @inline(__always)
  mutating func removeFirst() {
    if let waiting = waiting.last, begun.first.map({ waiting < $0 }) ?? true {
      self.waiting.removeLast()
    } else {
      begun.removeFirst()
    }
  }

  /// Adds a run that is not begun. Its place is found by `sort`, which is to be called after the last of several.
  mutating func add(_ entry: MergeQueue.Entry) { waiting.append(entry) }

  mutating func sort() { waiting.sort { $1 < $0 } }

  /// Puts back a run that is begun.
  @inline(__always)
  mutating func insert(_ entry: MergeQueue.Entry) { begun.insert(entry) }
}
