import Files

/// Where the recorded pages of one CPU lie in a trace.dat.
struct CPUData: Sendable {
  /// Which of the trace's buffers.
  var buffer: Int
  var cpu: Int
  /// In the file.
  var range: Range<Int>
  var layout: RingBufferLayout
  /// How the data is compressed: `none` for raw pages.
  var compression: TraceDatCompression
}

/// Goes through the pages of one CPU, raw or compressed, with one chunk in memory at a time.
///
/// The data is seen as a row of units that can be entered at random: pages where they are raw, else groups of chunks.
struct CPUPages {
  enum Step {
    case page(RingBufferPageCursor, lost: Lost?)
    case damage(TraceDamage.Problem, offset: Int)
    case end
  }

  /// How many events were lost before a page; nil if the kernel did not say.
  struct Lost {
    var count: UInt64?
  }

  let data: CPUData
  private let file: MappedMemory
  /// The memory that the current page lies in: the file, or the chunk's buffer.
  private(set) var memory: MappedMemory
  /// Where the next page begins in `memory`, and where the pages there end.
  private var next: Int
  private var limit: Int
  /// The offset of the next chunk's head in the file, and the number of chunks that may still be read.
  private var nextChunk = 0
  private var chunksLeft = 0
  private var decoder: ChunkDecoder?
  fileprivate private(set) var units: ChunkUnits?
  /// Up to where the kernel was told that the file's pages are no longer needed.
  private var released: Int

  init(_ data: CPUData, in file: MappedMemory) {
    self.data = data
    self.file = file
    memory = file
    next = data.range.lowerBound
    limit = data.range.upperBound
    released = data.range.lowerBound
    guard data.compression != .none else { return }
    // The number of chunks comes first.
    limit = next
    guard let count = file.bytes.slice(offset: next, count: 4), data.range.count >= 4 else { return }
    nextChunk = next + 4
    chunksLeft = Int(count.load(UInt32.self, at: 0, data.layout.byteOrder))
  }

  private var isCompressed: Bool { data.compression != .none }

  mutating func nextPage() -> Step {
    while limit - next < data.layout.dataOffset {
      if next < limit {
        let offset = next
        next = limit
        return .damage(.pageCut, offset: fileOffset(offset))
      }
      guard isCompressed, chunksLeft > 0 else { return .end }
      let offset = nextChunk
      do { try loadChunk() } catch { return .damage(error, offset: offset) }
    }
    let start = next
    next = min(start + data.layout.pageSize, limit)
    releaseWhatIsBehind()
    return page(start..<next)
  }

  private func page(_ range: Range<Int>) -> Step {
    let layout = data.layout
    let bytes = memory.bytes
    guard
      let time = bytes.slice(offset: range.lowerBound, count: 8)?.load(UInt64.self, at: 0, layout.byteOrder),
      let word = bytes.slice(offset: range.lowerBound + layout.commitOffset, count: layout.commitSize)
    else { return .damage(.pageCut, offset: fileOffset(range.lowerBound)) }
    let commit =
      layout.commitSize == 8
      ? UInt32(truncatingIfNeeded: word.load(UInt64.self, at: 0, layout.byteOrder))
      : word.load(UInt32.self, at: 0, layout.byteOrder)
    let start = range.lowerBound + layout.dataOffset
    let count = Int(commit & Self.commitMask)
    guard count <= data.layout.pageSize - layout.dataOffset else {
      return .damage(.pageOverfull, offset: fileOffset(range.lowerBound))
    }
    guard count <= range.upperBound - start else {
      return .damage(.pageCut, offset: fileOffset(range.lowerBound))
    }
    var lost: Lost?
    if commit & Self.missedEvents != 0 {
      lost = Lost()
      if commit & Self.missedStored != 0, let stored = bytes.slice(offset: start + count, count: layout.commitSize),
        start + count + layout.commitSize <= range.upperBound
      {
        lost?.count =
          layout.commitSize == 8
          ? stored.load(UInt64.self, at: 0, layout.byteOrder)
          : UInt64(stored.load(UInt32.self, at: 0, layout.byteOrder))
      }
    }
    return .page(RingBufferPageCursor(data: start..<(start + count), time: time), lost: lost)
  }

  // kernel/trace/ring_buffer.c: RB_MISSED_EVENTS, RB_MISSED_STORED; libtraceevent, kbuffer-parse.c: COMMIT_MASK. Bits
  // above 31 may all be set, since the kernel's flag is a signed int.
  private static let missedEvents: UInt32 = 1 << 31
  private static let missedStored: UInt32 = 1 << 30
  private static let commitMask: UInt32 = 1 << 27 - 1

  /// Decodes the next chunk. A damaged chunk is left out; after a bad head the rest is lost.
  private mutating func loadChunk() throws(TraceDamage.Problem) {
    let chunk: Chunk
    do {
      chunk = try Chunk(file.bytes, at: nextChunk, before: data.range.upperBound, data.layout.byteOrder)
    } catch {
      chunksLeft = 0
      throw error
    }
    nextChunk = chunk.data.upperBound
    chunksLeft -= 1
    let decoder: ChunkDecoder
    if let ready = self.decoder { decoder = ready } else { decoder = try makeDecoder() }
    self.decoder = decoder
    if memory === file || memory.byteCount < chunk.plainSize {
      guard let buffer = try? MappedMemory.buffer(byteCount: chunk.plainSize) else { throw .chunkTooLarge }
      memory = buffer
    }
    next = 0
    limit = 0
    guard let count = try? decoder.decode(file.bytes.extracting(chunk.data), into: memory), count > 0 else {
      throw .chunkUndecodable
    }
    limit = min(count, chunk.plainSize)
  }

  private func makeDecoder() throws(TraceDamage.Problem) -> ChunkDecoder {
    do { return try data.compression.makeDecoder() } catch { throw .chunkUndecodable }
  }

  /// An offset in `memory`, as an offset in the file: that of the chunk's end if the memory holds a chunk.
  func fileOffset(_ offset: Int) -> Int { memory === file ? offset : nextChunk }

  private mutating func releaseWhatIsBehind() {
    let reached = isCompressed ? nextChunk : next
    guard reached - released > 1 << 22 else { return }
    file.release(released..<(reached - 1 << 16))
    released = reached - 1 << 16
  }

  /// Lets go of the file's pages that were read since the last time.
  func releaseAll() {
    file.release(aroundTouched: released..<max(isCompressed ? nextChunk : next, released))
  }

  // MARK: Entering at random

  /// Pages of some units of a CPU.
  init(_ units: CPUUnits, in file: MappedMemory, unit: Int, count: Int) {
    self.init(units.data, in: file)
    self.units = units.chunks
    enter(unit: unit, count: count)
  }

  /// The number of units. For compressed data the chunks' heads are read, once.
  mutating func countUnits() -> Int {
    guard isCompressed else { return (data.range.count + data.layout.pageSize - 1) / data.layout.pageSize }
    if units == nil { units = ChunkUnits(data, in: file) }
    return units?.offsets.count ?? 0
  }

  /// Goes to a unit, so that `nextPage` gives its pages and those of the units after it, up to `count` units.
  mutating func enter(unit: Int, count: Int) {
    guard isCompressed else {
      next = min(data.range.lowerBound + unit * data.layout.pageSize, data.range.upperBound)
      limit = count < countUnits() - unit ? next + count * data.layout.pageSize : data.range.upperBound
      released = next
      return
    }
    guard let units, unit < units.offsets.count else { return }
    next = 0
    limit = 0
    nextChunk = units.offsets[unit]
    released = nextChunk
    chunksLeft = min(count * units.chunksPerUnit, units.chunkCount - unit * units.chunksPerUnit)
  }
}

/// What a CPU's data can be entered by, found once for many readers.
struct CPUUnits: Sendable {
  let data: CPUData
  let count: Int
  fileprivate let chunks: ChunkUnits?

  init(_ data: CPUData, in file: MappedMemory) {
    var pages = CPUPages(data, in: file)
    self.data = data
    count = pages.countUnits()
    chunks = pages.units
  }
}

/// Where groups of chunks begin. The larger the file, the larger the groups: the list stays short.
private struct ChunkUnits: Sendable {
  private(set) var offsets: [Int] = []
  private(set) var chunksPerUnit = 1
  private(set) var chunkCount = 0

  private static let mostUnits = 8192

  /// Reads the heads of all chunks, up to the first that is bad.
  init(_ data: CPUData, in file: MappedMemory) {
    let bytes = file.bytes
    guard let head = bytes.slice(offset: data.range.lowerBound, count: 4), data.range.count >= 4 else { return }
    let count = Int(head.load(UInt32.self, at: 0, data.layout.byteOrder))
    var offset = data.range.lowerBound + 4
    while chunkCount < count {
      guard
        let chunk = try? Chunk(bytes, at: offset, before: data.range.upperBound, data.layout.byteOrder)
      else { break }
      if chunkCount % chunksPerUnit == 0 {
        if offsets.count == Self.mostUnits { halve() }
        if chunkCount % chunksPerUnit == 0 { offsets.append(offset) }
      }
      chunkCount += 1
      offset = chunk.data.upperBound
    }
  }

  private mutating func halve() {
    offsets = stride(from: 0, to: offsets.count, by: 2).map { offsets[$0] }
    chunksPerUnit *= 2
  }
}
