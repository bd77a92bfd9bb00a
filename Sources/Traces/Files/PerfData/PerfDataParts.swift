import Files

/// A perf.data cut into parts that are walked over at the same time, on all cores.
///
/// A walk can be taken over only at a `PerfDataCursor.Place`, and where these are is known for certain only to a walk
/// that comes there from the beginning. But they can be guessed from the records around an offset: so each part is walked
/// over from where it seems to begin, and counts only if the one before it ends exactly there. Else it is walked over
/// again. So the parts are together what one walk is, also of a file that is damaged or in no order.
struct PerfDataParts: Sendable {
  typealias Place = PerfDataCursor.Place

  private let file: PerfDataFile
  private let cpus: Set<Int>?
  private let roundSize: Int
  /// In bytes; a multiple of the size of a round.
  private let partSize: Int

  /// A part should take a core some milliseconds.
  private static let smallest = 1 << 22
  /// More parts than most machines have cores, for a core may have other work as well; and not too many, for each part's
  /// result is kept until all are there.
  private static let most = 16

  init(_ file: PerfDataFile, cpus: Set<Int>?) {
    self.init(
      file, cpus: cpus, partSize: max(file.records.count / Self.most, Self.smallest),
      roundSize: PerfDataCursor.roundSize)
  }

  init(_ file: PerfDataFile, cpus: Set<Int>?, partSize: Int, roundSize: Int) {
    self.file = file
    self.cpus = cpus
    self.roundSize = roundSize
    self.partSize = (partSize + roundSize - 1) / roundSize * roundSize
  }

  /// What a walk over a part gave.
  private struct Part<Result: Sendable>: Sendable {
    /// Nil for the beginning, and for the end.
    var start: Place?
    var end: Place?
    var result: Result
    var losses = PerfLosses()
    var latest: UInt64 = 0
  }

  /// Gives each part's items to a result of its own, and joins them in their order.
  func reduce<Result: Sendable>(
    into initial: Result, _ add: @escaping @Sendable (inout Result, borrowing TraceItem) -> Void,
    join: (inout Result, Result) -> Void
  ) -> Result {
    var result = initial
    var losses = PerfLosses()
    var latest: UInt64 = 0
    var next: Place?
    var isFinished = false
    let count = max((file.records.count + partSize - 1) / partSize, 1)
    Pieces.forEach(count) { index -> Part<Result>? in
      let place = index == 0 ? nil : guessedPlace(index)
      return index == 0 || place != nil ? walk(index, from: place, initial, add) : nil
    } join: { index, guessed in
      guard !isFinished else { return }
      let part = guessed.flatMap { $0.start == next ? $0 : nil } ?? walk(index, from: next, initial, add)
      if index == 0 { result = part.result } else { join(&result, part.result) }
      losses.add(part.losses)
      latest = part.latest
      next = part.end
      isFinished = next == nil
    }
    if let lost = losses.elsewhere { add(&result, .lost(lost, buffer: 0, time: latest)) }
    return result
  }

  private func offset(of index: Int) -> Int { file.records.lowerBound + index * partSize }

  private func walk<Result: Sendable>(
    _ index: Int, from start: Place?, _ initial: Result, _ add: (inout Result, borrowing TraceItem) -> Void
  ) -> Part<Result> {
    var cursor = PerfDataCursor(file, cpus: cpus, roundSize: roundSize)
    if let start { cursor.start(at: start) }
    cursor.stop(behind: offset(of: index + 1))
    var result = initial
    cursor.forEach { item in
      add(&result, item)
      return .proceed
    }
    cursor.releaseAll()
    return Part(start: start, end: cursor.place, result: result, losses: cursor.losses, latest: cursor.latest)
  }

  /// Where a part seems to begin: at its first FINISHED_ROUND. The latest time before it is found by looking at the
  /// records of the two rounds before, as perf made them: all before those is earlier.
  func guessedPlace(_ index: Int) -> Place? {
    let part = offset(of: index)..<min(offset(of: index + 1), file.records.upperBound)
    var distance = roundSize
    while true {
      let start = max(part.lowerBound - (distance + 7) / 8 * 8, file.records.lowerBound)
      let isWhole = start == file.records.lowerBound
      guard let first = isWhole ? start : file.guessedRecord(in: start..<part.upperBound),
        let (place, rounds) = place(in: part, lookingFrom: first)
      else { return nil }
      if isWhole || rounds > 2 || distance >= partSize { return place }
      distance *= 4
    }
  }

  /// The first place in a range, with the latest of the times from an offset on, and the number of rounds that end
  /// between them; nil if there is none.
  private func place(in range: Range<Int>, lookingFrom start: Int) -> (place: Place, roundsBefore: Int)? {
    let bytes = file.memory.bytes
    let samples = PerfSamples(file)
    var latest: UInt64 = 0
    var rounds = 0
    var offset = start
    var kept = start
    defer { file.memory.release(aroundTouched: kept..<offset) }
    while offset < range.upperBound,
      let record = try? PerfRecord(bytes, at: offset, limit: file.records.upperBound, samples.byteOrder)
    {
      if offset - kept > Self.smallest {
        file.memory.release(aroundTouched: kept..<offset)
        kept = offset
      }
      if record.type == .finishedRound {
        if offset >= range.lowerBound { return (Place(offset: record.end, latest: latest), rounds) }
        rounds += 1
      } else if record.type.isOrdered {
        latest = max(latest, samples.time(bytes, record) ?? 0)
      }
      offset = record.end
    }
    return nil
  }
}
