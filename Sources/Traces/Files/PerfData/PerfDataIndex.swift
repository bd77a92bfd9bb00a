import Files

/// Where a perf.data can be entered, and what its records tell of the threads: found by looking at the heads of all.
///
/// A record's place is known only once the one before it is, but where records begin can be guessed: so pieces are
/// looked at on all cores, each from a place that looks like a record's, and a piece counts only if the one before it
/// ends exactly there. Else it is done again.
struct PerfDataIndex: Sendable {
  /// The end of a round, where reading can start; or the beginning.
  struct Round: Sendable {
    var offset: Int
    var samplesBefore: Int
    /// The latest time before it.
    var latestBefore: UInt64
    var lossesBefore = PerfLosses()
  }

  /// In the file's order.
  private(set) var rounds: [Round]
  /// The places of the records that tell threads' names, with their times.
  private(set) var names: [(time: UInt64, offset: Int)] = []
  private(set) var sampleCount = 0
  private(set) var tally = RecordTally()

  /// - Parameter hasTally: whether threads are told apart, which takes as long again.
  init(_ file: PerfDataFile, lookingFor pattern: EventPattern? = nil, hasTally: Bool = false) {
    let records = file.records
    rounds = [Round(offset: records.lowerBound, samplesBefore: 0, latestBefore: 0)]
    let size = Pieces.size(of: records.count)
    let look = PerfDataLook(file, pattern, hasTally: hasTally, roundDistance: size >> 6)
    var latest: UInt64 = 0
    var losses = PerfLosses()
    var next = records.lowerBound
    Pieces.forEach((records.count + size - 1) / size) { index in
      let start = records.lowerBound + index * size
      let end = min(start + size, records.upperBound)
      guard let first = index == 0 ? start : file.guessedRecord(in: start..<end) else { return look.nothing(at: start) }
      return look.piece(first..<end)
    } join: { index, guessed in
      let end = min(records.lowerBound + (index + 1) * size, records.upperBound)
      guard next < end else { return }
      let piece = guessed.range.lowerBound == next && !guessed.range.isEmpty ? guessed : look.piece(next..<end)
      next = piece.range.upperBound
      tally.add(piece.tally)
      for var round in piece.rounds {
        round.samplesBefore += sampleCount
        round.latestBefore = max(latest, round.latestBefore)
        round.lossesBefore.add(losses)
        rounds.append(round)
      }
      names += piece.names
      sampleCount += piece.sampleCount
      losses.add(piece.losses)
      latest = max(latest, piece.latest)
    }
    if let damage = file.damage {
      var piece = RecordTally.Piece()
      piece.add(damage)
      tally.add(piece)
    }
  }

  /// The last round before which all is earlier than `time`.
  func round(before time: UInt64) -> Round {
    var low = 0
    var high = rounds.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if rounds[middle].latestBefore < time { low = middle } else { high = middle }
    }
    return rounds[low]
  }

  /// The last round from which the last `count` samples follow.
  func round(ofLast count: Int) -> Round {
    // After the second round that ends behind a place, everything is later than all before that place.
    var first = rounds.count
    repeat {
      first -= 1
    } while first > 0
      && (first + 2 >= rounds.count || sampleCount - rounds[first + 2].samplesBefore < count)
    return rounds[first]
  }
}

/// Looks at some records.
private struct PerfDataLook: Sendable {
  struct Piece: Sendable {
    /// From its first record to the one after its last.
    var range: Range<Int>
    var rounds: [PerfDataIndex.Round] = []
    var names: [(time: UInt64, offset: Int)] = []
    var sampleCount = 0
    var latest: UInt64 = 0
    var losses = PerfLosses()
    var tally = RecordTally.Piece()
  }

  private let memory: MappedMemory
  private let records: Range<Int>
  private let samples: PerfSamples
  private let pattern: EventPattern?
  private let hasTally: Bool
  private let threadIDOffset: Int
  private let byteOrder: ByteOrder
  /// Rounds may be shorter than it is worth remembering.
  private let roundDistance: Int

  init(_ file: PerfDataFile, _ pattern: EventPattern?, hasTally: Bool, roundDistance: Int) {
    memory = file.memory
    records = file.records
    samples = PerfSamples(file)
    self.pattern = pattern
    self.hasTally = hasTally
    threadIDOffset = file.context.events.threadIDLocation.offset
    byteOrder = file.context.machine.byteOrder
    self.roundDistance = roundDistance
  }

  func nothing(at offset: Int) -> Piece { Piece(range: offset..<offset) }

  /// Looks at the records that begin in a range, from its beginning on.
  func piece(_ range: Range<Int>) -> Piece {
    var piece = nothing(at: range.lowerBound)
    let memory = memory
    let bytes = memory.bytes
    memory.populate(range)
    var offset = range.lowerBound
    var lastRound = offset
    while offset < range.upperBound {
      let record: PerfRecord
      do throws(TraceDamage.Problem) {
        record = try PerfRecord(bytes, at: offset, limit: records.upperBound, byteOrder)
      } catch {
        piece.tally.add(TraceDamage(problem: error, offset: offset, buffer: 0))
        offset = records.upperBound
        break
      }
      switch record.type {
      case .sample:
        piece.sampleCount += 1
        let time = samples.time(bytes, record) ?? 0
        piece.latest = max(piece.latest, time)
        if hasTally { add(record.range, of: bytes, time, to: &piece.tally) }
      case .comm, .fork:
        let time = samples.time(bytes, record) ?? 0
        piece.latest = max(piece.latest, time)
        piece.names.append((time, offset))
      case .lost, .lostSamples:
        piece.latest = max(piece.latest, samples.time(bytes, record) ?? 0)
        if let loss = samples.loss(bytes, record) { piece.losses.add(loss) }
      case .finishedRound where record.end - lastRound >= roundDistance:
        lastRound = record.end
        piece.rounds.append(
          PerfDataIndex.Round(
            offset: record.end, samplesBefore: piece.sampleCount, latestBefore: piece.latest,
            lossesBefore: piece.losses))
      default:
        break
      }
      offset = record.end
    }
    memory.release(aroundTouched: range.lowerBound..<min(offset, range.upperBound))
    piece.range = range.lowerBound..<offset
    piece.tally.settle()
    return piece
  }

  /// Adds a sample; one that cannot be read is none.
  @inline(__always)
  private func add(_ record: Range<Int>, of bytes: RawSpan, _ time: UInt64, to tally: inout RecordTally.Piece) {
    switch samples.content(bytes, record, threadIDOffset: threadIDOffset) {
    case .sample(let content):
      tally.add(
        time, content.threadID,
        isMatch: content.event < 0 && (pattern?.matches(bytes.extracting(content.payload)) ?? false))
    case .damaged(let problem, let cpu):
      tally.add(TraceDamage(problem: problem, offset: record.lowerBound, cpu: cpu, buffer: 0))
    }
  }
}
