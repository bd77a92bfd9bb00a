/// The sequences that are being merged by time, the earliest first; of equal times the sequence with the lower number.
struct MergeQueue {
  struct Entry {
    var time: UInt64
    var sequence: Int

    @inline(__always) static func < (left: Entry, right: Entry) -> Bool {
      left.time != right.time ? left.time < right.time : left.sequence < right.sequence
    }
  }

  private var entries: [Entry] = []

  init() {}

  var first: Entry? { entries.first }

  mutating func insert(_ entry: Entry) {
    entries.append(entry)
    var index = entries.count - 1
    while index > 0 {
      let parent = (index - 1) / 2
      guard entries[index] < entries[parent] else { return }
      entries.swapAt(index, parent)
      index = parent
    }
  }

  mutating func removeFirst() {
    let last = entries.removeLast()
    guard !entries.isEmpty else { return }
    replaceFirst(last)
  }

  /// Puts an entry in the first one's place.
  private mutating func replaceFirst(_ entry: Entry) {
    entries[0] = entry
    var index = 0
    while true {
      var child = 2 * index + 1
      guard child < entries.count else { return }
      if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
      guard entries[child] < entries[index] else { return }
      entries.swapAt(index, child)
      index = child
    }
  }
}
