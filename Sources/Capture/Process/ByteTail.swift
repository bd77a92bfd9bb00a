/// The last bytes of a stream.
struct ByteTail {
  let limit: Int
  /// How many bytes the stream had.
  private(set) var total = 0
  private var kept: [UInt8] = []

  init(limit: Int) { self.limit = limit }

  /// At most `limit` bytes.
  var bytes: [UInt8] { Array(kept.suffix(limit)) }

  mutating func append(_ bytes: ArraySlice<UInt8>) {
    total += bytes.count
    kept.append(contentsOf: bytes)
    // Cutting at twice the limit moves each byte at most once.
    if kept.count > 2 * limit { kept.removeFirst(kept.count - limit) }
  }
}
