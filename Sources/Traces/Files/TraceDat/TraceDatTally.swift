import Files

extension RecordTally {
  /// Looks at all records of a trace.dat, some pages or chunks of a CPU at a time.
  init(_ file: TraceDatFile, lookingFor pattern: EventPattern?, in events: RecordedEvents) {
    self.init()
    struct Part: Sendable {
      var stream: Int
      var unit: Int
      var unitCount: Int
    }
    var streams: [CPUUnits] = []
    var parts: [Part] = []
    for data in file.data {
      let units = CPUUnits(data, in: file.memory)
      let unitSize = max(data.range.count / max(units.count, 1), 1)
      // What is compressed holds several times its size.
      let size = Pieces.size(of: file.memory.byteCount) >> (data.compression == .none ? 0 : 3)
      let step = max(size / unitSize, 1)
      for unit in stride(from: 0, to: units.count, by: step) {
        parts.append(Part(stream: streams.count, unit: unit, unitCount: min(step, units.count - unit)))
      }
      streams.append(units)
    }
    let tallies = streams
    let threadID = events.threadIDLocation.offset
    let work = parts
    var lastTimes = [UInt64](repeating: 0, count: streams.count)
    Pieces.forEach(work.count) { index in
      let part = work[index]
      return Self.look(
        at: CPUPages(tallies[part.stream], in: file.memory, unit: part.unit, count: part.unitCount), file.clock,
        lookingFor: pattern, threadID: threadID)
    } join: { index, result in
      add(result.piece)
      let stream = work[index].stream
      if !result.isInOrder || result.first < lastTimes[stream] { noteDisorder() }
      lastTimes[stream] = max(result.last, lastTimes[stream])
    }
  }

  private struct Look: Sendable {
    var piece = Piece()
    var isInOrder = true
    var first = UInt64.max
    var last: UInt64 = 0
  }

  private static func look(
    at pages: consuming CPUPages, _ clock: TraceClock, lookingFor pattern: EventPattern?, threadID: Int
  ) -> Look {
    var look = Look()
    let data = pages.data
    let byteOrder = data.layout.byteOrder
    var last: UInt64 = 0
    walk: while true {
      switch pages.nextPage() {
      case .end:
        break walk
      case .damage(let problem, let offset):
        look.piece.add(TraceDamage(problem: problem, offset: offset, cpu: data.cpu, buffer: data.buffer))
      case .page(var page, _):
        let memory = pages.memory
        let bytes = memory.bytes
        page: while true {
          switch page.next(in: bytes, byteOrder) {
          case .end:
            break page
          case .damaged:
            look.piece.add(
              TraceDamage(
                problem: .eventBeyondPage, offset: pages.fileOffset(page.recordStart), cpu: data.cpu,
                buffer: data.buffer))
            break page
          case .event:
            let time = clock.isPlain ? page.time &+ clock.offset : clock.convert(page.time, cpu: data.cpu)
            if time < last { look.isInOrder = false }
            last = time
            look.first = min(look.first, time)
            let record = bytes.extracting(page.recordStart..<(page.recordStart &+ page.recordCount))
            look.piece.add(
              time,
              record.byteCount >= threadID &+ 4 && record.byteCount >= 2
                ? record.load(Int32.self, at: threadID, byteOrder) : -1,
              isMatch: pattern?.matches(record) ?? false)
          }
        }
      }
    }
    pages.releaseAll()
    look.last = last
    look.piece.settle()
    return look
  }
}
