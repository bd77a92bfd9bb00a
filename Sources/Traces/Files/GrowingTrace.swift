import Files
public import SystemPackage

/// The events of a recording that goes on: pages are added as they come out of the kernel's ring buffers, and events are
/// given as soon as every CPU has told of its own up to their time.
public struct GrowingTrace {
  private var file: TraceDatFile
  /// For each CPU the pages that hold events not given yet, and perhaps some that were.
  private var pages: [Int: [UInt8]] = [:]
  /// Up to which time events were given.
  private var givenUntil: UInt64 = 0

  /// A recording of which nothing but this is known yet.
  public init(_ metadata: TraceDatMetadata) throws(Errno) { file = try TraceDatFile(metadata) }

  public var context: TraceContext { file.context }
  private var layout: RingBufferLayout { file.layout }

  /// Adds what tracefs `saved_cmdlines` holds by now: lines `PID NAME`.
  public mutating func add(commandLines: [UInt8]) { file.add(commandLines: commandLines) }

  /// Adds pages that follow those added before for this CPU. Only whole pages count.
  public mutating func add(_ bytes: [UInt8], cpu: Int) {
    pages[cpu, default: []] += bytes.prefix(bytes.count / layout.pageSize * layout.pageSize)
  }

  /// Gives what was recorded up to `time` and was not given yet, in the order of times over all CPUs.
  ///
  /// - Parameter time: in the units of the recording's clock: all that was recorded before has been added.
  public mutating func forEach<Failure: Error>(
    until time: UInt64, _ body: (borrowing TraceItem) throws(Failure) -> Void
  ) throws(Failure) {
    // Without memory for them the pages wait for the next time.
    guard let held = try? file.holding(pages) else { return }
    let before = givenUntil
    givenUntil = max(time, before)
    var cursor = TraceDatCursor(held, cpus: nil)
    try cursor.forEach { item throws(Failure) in
      switch item {
      case .event(let event):
        if event.time > time { return .stop }
        if event.time > before { try body(item) }
      case .lost(_, _, let lostBefore):
        if lostBefore > time { return .stop }
        if lostBefore > before { try body(item) }
      case .damage: try body(item)
      }
      return .proceed
    }
    dropGivenPages()
  }

  /// A page is done with when the one after it begins before the events that are still to be given.
  private mutating func dropGivenPages() {
    for (cpu, bytes) in pages {
      var kept = 0
      while kept + layout.pageSize < bytes.count, startTime(bytes, at: kept + layout.pageSize) <= givenUntil {
        kept += layout.pageSize
      }
      if kept > 0 { pages[cpu]?.removeFirst(kept) }
    }
  }

  /// The time that a page begins with is its first eight bytes.
  private func startTime(_ bytes: [UInt8], at offset: Int) -> UInt64 {
    // Bytes have no padding whose contents could matter.
    unsafe bytes.span.bytes.load(UInt64.self, at: offset, layout.byteOrder)
  }
}
