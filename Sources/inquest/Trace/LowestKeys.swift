/// What was counted in a stretch of a trace, to which what was counted in the next stretch can be joined.
///
/// Joined, the stretches of a trace have what one walk over all of it would have counted.
protocol Joinable: Sendable {
  /// Nothing counted yet.
  init()

  mutating func join(_ next: Self)
}

extension UInt64: Joinable {
  mutating func join(_ next: UInt64) { self = self &+ next }
}

/// Values by key, of which only so many are told apart: those whose keys sort first. A damaged trace may have any number.
///
/// Which these are depends on the keys, and not on the order in which they come, so that stretches can be joined.
struct LowestKeys<Key: Hashable & Comparable & Sendable, Value: Joinable>: Sendable {
  struct Element {
    var key: Key
    var value: Value
  }

  private let limit: Int
  /// Some more than the limit, so that room is seldom made.
  private var kept: [Element] = []
  private var indices: [Key: Int] = [:]
  /// The key met last, which is often met next.
  private var last: (key: Key, index: Int)?
  /// Keys from this one on are not kept: the lower ones fill the room.
  private var bound: Key?
  private var dropped = Value()

  init(limit: Int) { self.limit = limit }

  /// Changes the value of a key, or what the keys that are not told apart share.
  @inline(__always)
  mutating func update(_ key: Key, _ body: (inout Value) -> Void) {
    if let last, last.key == key {
      body(&kept[last.index].value)
    } else if let index = index(of: key) {
      last = (key, index)
      body(&kept[index].value)
    } else {
      body(&dropped)
    }
  }

  private mutating func index(of key: Key) -> Int? {
    if let index = indices[key] { return index }
    if kept.count > limit + limit / 2 { makeRoom() }
    if let bound, key >= bound { return nil }
    indices[key] = kept.count
    kept.append(Element(key: key, value: Value()))
    return kept.count - 1
  }

  private mutating func makeRoom() {
    kept.sort { $0.key < $1.key }
    bound = kept[limit].key
    for element in kept[limit...] { dropped.join(element.value) }
    kept.removeSubrange(limit...)
    indices.removeAll(keepingCapacity: true)
    for index in kept.indices { indices[kept[index].key] = index }
    last = nil
  }

  mutating func join(_ next: LowestKeys) {
    // A key that only `next` no longer tells apart has at least `limit` others before it, all of which are added here.
    for element in next.kept { update(element.key) { $0.join(element.value) } }
    dropped.join(next.dropped)
  }

  // MARK: What was counted

  /// Those that are told apart, in the order of their keys.
  var elements: [Element] { Array(kept.sorted { $0.key < $1.key }.prefix(limit)) }

  /// The number of keys that are told apart.
  var count: Int { min(kept.count, limit) }

  subscript(key: Key) -> Value? { indices[key].map { kept[$0].value } }

  /// What all others have together.
  var others: Value {
    kept.sorted { $0.key < $1.key }.dropFirst(limit).reduce(into: dropped) { $0.join($1.value) }
  }
}

extension LowestKeys where Value == UInt64 {
  @inline(__always)
  mutating func count(_ key: Key) { update(key) { $0 &+= 1 } }

  var total: UInt64 { kept.reduce(dropped) { $0 &+ $1.value } }

  /// The most frequent first.
  var byCount: [Element] { elements.sorted { ($1.value, $0.key) < ($0.value, $1.key) } }
}
