public import Files

/// Items of a trace, copied, so that they can be worked on apart from the file.
public struct EventBatch: ~Copyable {
  private struct Entry {
    var time: UInt64
    /// Where the record lies in `records`; -1 for what is no event.
    var start: Int
    var count: Int
    var cpu: Int32
    var threadID: Int32
    /// For what is no event, its place in `marks`.
    var eventIndex: Int32
    var buffer: Int32
    var taskName: TaskName
  }

  private enum Mark {
    case lost(LostEvents, buffer: Int, time: UInt64)
    case damage(TraceDamage)
  }

  private var entries: [Entry] = []
  private var marks: [Mark] = []
  private var records: MappedMemory
  private var used = 0

  /// What a batch is made to hold; a single record may be larger.
  static let capacity = 1 << 18
  static let mostEntries = 4096

  init() throws(TraceFileError) { records = try Self.memory(Self.capacity) }

  private static func memory(_ byteCount: Int) throws(TraceFileError) -> MappedMemory {
    do { return try MappedMemory.buffer(byteCount: byteCount) } catch { throw TraceFileError("no memory: \(error)") }
  }

  /// The number of items.
  public var count: Int { entries.count }

  mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    marks.removeAll(keepingCapacity: true)
    used = 0
  }

  /// Whether another record of usual size will fit.
  private var hasRoom: Bool { entries.count < Self.mostEntries && used <= Self.capacity - 4096 }

  /// Adds an item; `stop` if the batch has no room for more.
  @inline(__always)
  public mutating func append(_ item: borrowing TraceItem) throws(TraceFileError) -> Walk {
    switch item {
    case .event(let event):
      let count = event.payload.byteCount
      if count > records.byteCount - used { try makeRoom(count) }
      let start = used
      // The range was checked above, and nobody reads the memory while the batch is filled.
      unsafe records.withUnsafeMutableBytes { memory in
        unsafe event.payload.withUnsafeBytes { payload in
          unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<(start + count)]).copyMemory(from: payload)
        }
      }
      used += count
      entries.append(
        Entry(
          time: event.time, start: start, count: count, cpu: Int32(truncatingIfNeeded: event.cpu),
          threadID: event.threadID, eventIndex: event.eventIndex, buffer: Int32(truncatingIfNeeded: event.buffer),
          taskName: event.taskName))
    case .lost(let events, let buffer, let time):
      append(mark: .lost(events, buffer: buffer, time: time))
    case .damage(let damage):
      append(mark: .damage(damage))
    }
    return hasRoom ? .proceed : .stop
  }

  private mutating func append(mark: Mark) {
    entries.append(
      Entry(
        time: 0, start: -1, count: 0, cpu: -1, threadID: -1, eventIndex: Int32(truncatingIfNeeded: marks.count),
        buffer: 0, taskName: .unknown))
    marks.append(mark)
  }

  private mutating func makeRoom(_ count: Int) throws(TraceFileError) {
    let larger = try Self.memory(2 * records.byteCount + count)
    let old = records
    unsafe larger.withUnsafeMutableBytes { new in
      unsafe old.withUnsafeMutableBytes { old in unsafe new.copyMemory(from: UnsafeRawBufferPointer(old)) }
    }
    records = larger
  }

  /// Gives the items in their order.
  public func forEach<Failure: Error>(_ body: (borrowing TraceItem) throws(Failure) -> Void) throws(Failure) {
    let records = records
    for entry in entries {
      guard entry.start < 0 else {
        let payload = records.bytes.extracting(entry.start..<(entry.start &+ entry.count))
        try body(
          .event(
            TraceEvent(
              time: entry.time, payload: payload, cpu: Int(entry.cpu), threadID: entry.threadID,
              eventIndex: entry.eventIndex, buffer: Int(entry.buffer), taskName: entry.taskName)))
        continue
      }
      switch marks[Int(entry.eventIndex)] {
      case .lost(let events, let buffer, let time): try body(.lost(events, buffer: buffer, time: time))
      case .damage(let damage): try body(.damage(damage))
      }
    }
  }
}
