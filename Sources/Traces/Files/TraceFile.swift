public import Files
public import SystemPackage

/// A binary trace, opened: trace.dat of trace-cmd or perf.data of perf, told apart by their content.
///
/// Nothing but what describes the events is read on opening. The events are read from the mapped file each time they
/// are walked over.
public struct TraceFile: Sendable {
  enum Content: Sendable {
    case traceDat(TraceDatFile)
    case perfData(PerfDataFile)
  }

  let content: Content

  /// Opens a file; `-` is standard input. A file that is compressed as a whole is opened as if it were not.
  public init(path: FilePath) throws(TraceFileError) {
    try self.init(FileInput(path))
  }

  /// Reads input that is already open.
  public init(_ input: FileInput) throws(TraceFileError) {
    switch Self.kind(of: input.memory.bytes) {
    case .traceDat: content = .traceDat(try TraceDatFile(input.memory, problem: input.problem))
    case .perfData: content = .perfData(try PerfDataFile(input.memory, problem: input.problem))
    case nil:
      throw input.problem
        ?? TraceFileError("this is neither a trace.dat nor a perf.data: their magic numbers are missing", at: 0)
    }
  }

  /// Which reader a file is for.
  public enum Kind: Sendable {
    case traceDat
    case perfData
  }

  /// Recognises a binary trace by its first bytes; nil if it is none.
  public static func kind(of bytes: RawSpan) -> Kind? {
    if bytes.hasPrefix(TraceDatFile.magic) { return .traceDat }
    if bytes.hasPrefix(PerfDataFile.magic) || bytes.hasPrefix(PerfDataFile.magic.reversed()) { return .perfData }
    return nil
  }

  public var context: TraceContext {
    switch content {
    case .traceDat(let file): file.context
    case .perfData(let file): file.context
    }
  }

  /// The text of a trace.dat that was recorded with a latency tracer, which holds no events; else nil.
  public func latencyText() throws(TraceFileError) -> [UInt8]? {
    guard case .traceDat(let file) = content, let text = file.latencyText else { return nil }
    return try text.text()
  }

  /// Gives each event, and what is missing or damaged between them, in the order of their times over all CPUs.
  ///
  /// - Parameters:
  ///   - cpus: the CPUs to read; nil for all.
  public func forEach<Failure: Error>(
    cpus: Set<Int>? = nil, _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) {
    var cursor = cursor(cpus: cpus)
    try cursor.forEach(body)
  }

  /// Walks over the trace in parts, on all cores where the format allows it, and joins their results in order.
  ///
  /// - Parameters:
  ///   - cpus: the CPUs to read; nil for all.
  ///   - initial: what the result of each part is at first.
  ///   - add: adds an item to a result. The names of threads are known only as far as the part itself tells them.
  ///   - join: adds the result of the part that follows in time. Together they must be what one walk over both gives.
  public func reduce<Result: Sendable>(
    cpus: Set<Int>? = nil, into initial: Result,
    _ add: @escaping @Sendable (inout Result, borrowing TraceItem) -> Void, join: (inout Result, Result) -> Void
  ) -> Result {
    switch content {
    case .perfData(let file):
      return PerfDataParts(file, cpus: cpus).reduce(into: initial, add, join: join)
    case .traceDat:
      // Merging the pages of the CPUs takes less time than counting their events.
      var result = initial
      forEach(cpus: cpus) { item in
        add(&result, item)
        return .proceed
      }
      return result
    }
  }

  /// A place at the beginning of the events.
  public func cursor(cpus: Set<Int>? = nil) -> TraceCursor { TraceCursor(self, cpus: cpus) }
}

/// A place in the events of a trace: reading can stop, and go on from there later.
public struct TraceCursor {
  private var traceDat: TraceDatCursor?
  private var perfData: PerfDataCursor?
  private var perfDataFile: PerfDataFile?

  fileprivate init(_ file: TraceFile, cpus: Set<Int>?) {
    switch file.content {
    case .traceDat(let file): traceDat = TraceDatCursor(file, cpus: cpus)
    case .perfData(let file):
      perfData = PerfDataCursor(file, cpus: cpus)
      perfDataFile = file
    }
  }

  /// Gives the items from here on until `body` stops or throws. An item for which it throws is given again by the next
  /// call; one after which it stops is not.
  public mutating func forEach<Failure: Error>(
    _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) {
    try traceDat?.forEach(body)
    try perfData?.forEach(body)
  }

  /// Goes to the place from which the last `count` events follow. Reads only the end of the file where the format
  /// allows it; the heads of all records of a perf.data. To be called before anything is read.
  public mutating func startAtLast(_ count: Int) {
    traceDat?.startAtLast(count)
    if let perfDataFile { perfData?.startAtLast(count, by: PerfDataIndex(perfDataFile)) }
  }

  /// Goes to a place that is not after the first event of this time, near it. Reads the heads of all records of a
  /// perf.data. To be called before anything is read.
  public mutating func start(at time: UInt64) {
    if let perfDataFile {
      start(at: time, by: PerfDataIndex(perfDataFile))
    } else {
      start(at: time, by: nil)
    }
  }

  mutating func startAtLast(_ count: Int, by index: PerfDataIndex?) {
    traceDat?.startAtLast(count)
    if let index { perfData?.startAtLast(count, by: index) }
  }

  mutating func start(at time: UInt64, by index: PerfDataIndex?) {
    traceDat?.start(at: time)
    if let index { perfData?.start(at: time, by: index) }
  }
}
