import Files

/// Packs events into ring-buffer pages, as the kernel would have.
public struct RingBufferPageBuilder {
  private let layout: RingBufferLayout
  private var page: [UInt8]
  /// The number of bytes of data so far.
  private var count = 0
  private var time: UInt64 = 0
  /// The number of events lost before the page, if it is known of all of them.
  private var lost: UInt64? = 0
  private var hasLost = false

  /// Pages of a kernel with this `long`. Only the layout that Linux has had since 2.6.31 is written.
  public init(machine: RecordingMachine, pageSize: Int) {
    layout = RingBufferLayout(machine: machine, pageSize: pageSize)
    page = [UInt8](repeating: 0, count: pageSize)
  }

  public var isEmpty: Bool { count == 0 }

  /// The number of lost events, if any, is stored after the data.
  private var capacity: Int { layout.pageSize - layout.dataOffset - (hasLost ? layout.commitSize : 0) }

  /// Says that events were lost before the page's first event. To be called on an empty page.
  public mutating func noteLost(_ more: UInt64?) {
    hasLost = true
    if let lost, let more { self.lost = lost &+ more } else { lost = nil }
  }

  /// Adds an event; false, without adding it, if the page has no room. Events must come in the order of their times.
  ///
  /// A record that is too large even for an empty page is never added.
  public mutating func append(time eventTime: UInt64, record: RawSpan) -> Bool {
    if count == 0 { time = eventTime }
    let delta = eventTime >= time ? eventTime - time : 0
    let needsExtension = delta >> 27 != 0
    let words = (record.byteCount + 3) / 4
    let isShort = words >= 1 && words <= 28
    let size = (needsExtension ? 8 : 0) + (isShort ? 4 : 8) + 4 * words
    guard size <= capacity - count, delta >> 59 == 0 else { return false }
    if count == 0 { store(eventTime, at: 0) }
    if needsExtension {
      append(header: 30, delta: UInt32(truncatingIfNeeded: delta & (1 << 27 - 1)))
      append(UInt32(truncatingIfNeeded: delta >> 27))
    }
    append(header: isShort ? UInt32(words) : 0, delta: needsExtension ? 0 : UInt32(truncatingIfNeeded: delta))
    if !isShort { append(UInt32(4 * words + 4)) }
    let start = layout.dataOffset + count
    for index in 0..<record.byteCount { page[start + index] = record.byte(at: index) }
    for index in record.byteCount..<(4 * words) { page[start + index] = 0 }
    count += 4 * words
    time = eventTime
    return true
  }

  /// Hands over the page and begins a new one.
  public mutating func takePage() -> [UInt8] {
    var commit = UInt64(count)
    if hasLost {
      commit |= 1 << 31
      if let lost {
        commit |= 1 << 30
        store(lost, at: layout.dataOffset + count, size: layout.commitSize)
      }
    }
    store(commit, at: layout.commitOffset, size: layout.commitSize)
    defer {
      page = [UInt8](repeating: 0, count: layout.pageSize)
      count = 0
      hasLost = false
      lost = 0
    }
    return page
  }

  private mutating func append(header typeLength: UInt32, delta: UInt32) {
    append(layout.byteOrder == .littleEndian ? typeLength | delta << 5 : typeLength << 27 | delta)
  }

  private mutating func append(_ word: UInt32) {
    store(UInt64(word), at: layout.dataOffset + count, size: 4)
    count += 4
  }

  private mutating func store(_ value: UInt64, at offset: Int, size: Int = 8) {
    for index in 0..<size {
      let shift = UInt64(8 * (layout.byteOrder == .littleEndian ? index : size - 1 - index))
      page[offset + index] = UInt8(truncatingIfNeeded: value >> shift)
    }
  }
}
