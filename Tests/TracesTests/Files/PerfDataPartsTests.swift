import FileBuilding
import SeededRandom
import Testing

@testable import Traces

/// A perf.data walked over in parts, beside one walk over the whole.
@Suite struct PerfDataPartsTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var build: @Sendable (inout PerfDataBuilder) -> Void
    var testDescription: String { name }
  }

  /// Rounds in which each CPU's events stand together.
  static func addRounds(
    _ count: Int, cpus: Int = 2, each: Int = 3, to builder: inout PerfDataBuilder,
    after round: (inout PerfDataBuilder, UInt64) -> Void = { _, _ in }
  ) {
    var random = SeededGenerator(seed: 7)
    var start: UInt64 = 1000
    for _ in 0..<count {
      for cpu in 0..<cpus {
        // A CPU's buffer is copied up to the moment, and the next one's a little later.
        var time = start + UInt64(cpu)
        for _ in 0..<Int.random(in: 0...each, using: &random) {
          time += UInt64.random(in: 0...2, using: &random)
          builder.add(time: time, cpu: UInt32(cpu), threadID: UInt32(40 + cpu), value: time)
        }
      }
      start += UInt64(each + cpus)
      round(&builder, start)
      builder.finishRound()
    }
  }

  static let cases = [
    Case(name: "nothing", build: { _ in }),
    Case(name: "one event", build: { $0.add(time: 5, cpu: 0, value: 5) }),
    Case(name: "small rounds", build: { addRounds(60, to: &$0) }),
    Case(name: "many CPUs", build: { addRounds(12, cpus: 9, to: &$0) }),
    Case(
      name: "no end of a round",
      build: { for time in 1...50 as ClosedRange<UInt64> { $0.add(time: time, cpu: 0, value: 0) } }),
    Case(
      name: "an end of a round in the middle",
      build: {
        for time in 1...30 as ClosedRange<UInt64> { $0.add(time: time, cpu: 0, value: 0) }
        $0.finishRound()
        for time in 1...30 as ClosedRange<UInt64> { $0.add(time: 20 + time, cpu: 1, value: 0) }
      }),
    Case(name: "losses", build: { addRounds(40, to: &$0) { $0.lost(2, time: $1) } }),
    Case(
      name: "more losses in all",
      build: {
        addRounds(40, to: &$0) { $0.lost(2, time: $1) }
        $0.lostSamples(100)
      }),
    Case(
      name: "names and the like",
      build: {
        addRounds(30, to: &$0) { builder, time in
          builder.comm(threadID: 42, "name", time: time)
          builder.fork(threadID: 43, parent: 42, time: 0)
          builder.append(4, [UInt8](repeating: 0, count: 24))
        }
      }),
    Case(
      name: "falling times",
      build: { builder in
        for round in 0..<12 as Range<UInt64> {
          for cpu in 0..<2 as Range<UInt32> {
            for time in (0..<4 as Range<UInt64>).reversed() {
              builder.add(time: 100 * round + 10 * time + UInt64(cpu), cpu: cpu, value: time)
            }
          }
          builder.finishRound()
        }
      }),
    Case(
      name: "events too late for their round",
      build: { builder in
        addRounds(40, to: &builder) { builder, time in
          if time % 5 == 0 { builder.add(time: time - min(time, 90), cpu: 3, value: 1) }
        }
      }),
    Case(
      name: "times that jump",
      build: { builder in
        addRounds(40, to: &builder) { builder, time in
          if time % 6 == 0 { builder.add(time: time * 1000, cpu: 3, value: 1) }
        }
      }),
    Case(
      name: "the latest time there is",
      build: { builder in
        addRounds(20, to: &builder) { builder, time in if time == 1050 { builder.add(time: .max, cpu: 3, value: 1) } }
      }),
    Case(
      name: "equal times",
      build: { builder in
        for round in 0..<30 as Range<UInt64> {
          for cpu in 0..<3 as Range<UInt32> { builder.add(time: 10 + round / 4, cpu: cpu, value: round) }
          builder.finishRound()
        }
      }),
    Case(
      name: "a record without a size",
      build: { builder in
        addRounds(30, to: &builder)
        builder.append(9, [], size: 0)
        addRounds(30, to: &builder)
      }),
    Case(
      name: "a record beyond the end",
      build: { builder in
        addRounds(30, to: &builder)
        builder.append(9, [], size: 0xfff8)
      }),
    Case(
      name: "samples that are cut",
      build: { builder in addRounds(30, to: &builder) { builder, _ in builder.append(9, [1, 2, 3, 4, 5, 6, 7, 8]) } }),
    Case(
      name: "records of an odd size",
      build: { builder in
        addRounds(30, to: &builder) { builder, time in if time == 1030 { builder.append(4, [1, 2, 3]) } }
      }),
    Case(
      name: "data that look like records",
      build: { builder in
        var look = PerfDataBuilder()
        for time in 5000..<5020 as Range<UInt64> {
          look.add(time: time, cpu: 0, value: time)
          look.finishRound()
        }
        let records = look.records
        addRounds(30, to: &builder) { builder, time in if time % 20 == 0 { builder.append(76, records) } }
      }),
  ]

  /// What one walk gives, without the names of threads: a part does not know those told before it.
  private static func whole(_ file: TraceFile, _ perfData: PerfDataFile, roundSize: Int) -> [KeptItem] {
    var items: [KeptItem] = []
    var cursor = PerfDataCursor(perfData, cpus: nil, roundSize: roundSize)
    cursor.forEach { item in
      items.append(KeptItem(item, file.context).withoutTask)
      return .proceed
    }
    return items
  }

  private static func joined(
    _ file: TraceFile, _ perfData: PerfDataFile, partSize: Int, roundSize: Int
  ) -> [KeptItem] {
    let context = file.context
    return PerfDataParts(perfData, cpus: nil, partSize: partSize, roundSize: roundSize)
      .reduce(into: [KeptItem]()) { items, item in
        items.append(KeptItem(item, context).withoutTask)
      } join: {
        $0 += $1
      }
  }

  /// Rounds end everywhere and parts begin everywhere.
  @Test(arguments: cases) func areTogetherOneWalk(_ example: Case) throws {
    var builder = PerfDataBuilder()
    example.build(&builder)
    let file = try TraceFile(bytes: builder.file())
    guard case .perfData(let perfData) = file.content else {
      Issue.record("no perf.data")
      return
    }
    for roundSize in [8, 256, 1000, 4096] {
      let whole = Self.whole(file, perfData, roundSize: roundSize)
      for partSize in Set([1, 2, 3, 5, 8, 13, 50].map { $0 * roundSize }) where partSize * 300 > builder.records.count {
        let joined = Self.joined(file, perfData, partSize: partSize, roundSize: roundSize)
        #expect(joined == whole, "parts of \(partSize) bytes, rounds of \(roundSize)")
      }
    }
  }

  /// Bytes changed, overwritten and copied elsewhere among the records.
  @Test(arguments: 0..<8 as Range<UInt64>) func areTogetherOneWalkOverDamage(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var builder = PerfDataBuilder()
    Self.addRounds(60, cpus: 3, to: &builder) { $0.lost(1, time: $1) }
    let intact = builder.file()
    let records = builder.boundaries[7]..<builder.boundaries[8]
    for round in 0..<60 {
      var bytes = intact
      for _ in 0..<random.pick([1, 2, 10]) {
        let place = Int.random(in: records, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[place] = random.pick([0, 0xff])
        case 2:
          let count = min(random.pick([8, 64, 500]), records.upperBound - place)
          for index in place..<(place + count) { bytes[index] = UInt8.random(in: 0...255, using: &random) }
        default:
          let count = min(random.pick([8, 104, 512]), records.upperBound - place)
          let from = Int.random(in: records.lowerBound..<(records.upperBound - count), using: &random) & ~7
          bytes.replaceSubrange(place..<(place + count), with: intact[from..<(from + count)])
        }
      }
      let file = try TraceFile(bytes: bytes)
      guard case .perfData(let perfData) = file.content else { continue }
      for (partSize, roundSize) in [(512, 8), (1024, 512), (4096, 256)] {
        #expect(
          Self.joined(file, perfData, partSize: partSize, roundSize: roundSize)
            == Self.whole(file, perfData, roundSize: roundSize),
          "round \(round), parts of \(partSize) bytes, rounds of \(roundSize)")
      }
    }
  }

  /// As the parts of a large file are: many rounds each, and all that is guessed is right.
  @Test func guessesWhereRoundsBegin() throws {
    var builder = PerfDataBuilder()
    Self.addRounds(4000, to: &builder)
    let file = try TraceFile(bytes: builder.file())
    guard case .perfData(let perfData) = file.content else {
      Issue.record("no perf.data")
      return
    }
    let parts = PerfDataParts(perfData, cpus: nil, partSize: 1 << 16, roundSize: 1 << 13)
    var cursor = PerfDataCursor(perfData, cpus: nil, roundSize: 1 << 13)
    for index in 1...8 {
      cursor.stop(behind: perfData.records.lowerBound + index << 16)
      cursor.forEach { _ in .proceed }
      #expect(cursor.place != nil)
      #expect(cursor.place == parts.guessedPlace(index))
    }
    #expect(
      Self.joined(file, perfData, partSize: 1 << 16, roundSize: 1 << 13)
        == Self.whole(file, perfData, roundSize: 1 << 13))
  }

  @Test(arguments: [1 << 12, 1 << 16, 1 << 20]) func readARecording(partSize: Int) throws {
    let file = try TraceFile(path: recording("one-gib-pages/pvm.perf.data"))
    guard case .perfData(let perfData) = file.content else {
      Issue.record("no perf.data")
      return
    }
    let whole = Self.whole(file, perfData, roundSize: 1 << 12)
    #expect(whole.count == 20319)
    #expect(Self.joined(file, perfData, partSize: partSize, roundSize: 1 << 12) == whole)
  }

  /// The order of a file does not depend on the rounds that are merged at once.
  @Test func roundsMayBeMergedTogether() throws {
    var builder = PerfDataBuilder()
    Self.addRounds(500, cpus: 4, to: &builder)
    let file = try TraceFile(bytes: builder.file())
    guard case .perfData(let perfData) = file.content else {
      Issue.record("no perf.data")
      return
    }
    let whole = Self.whole(file, perfData, roundSize: 8)
    for roundSize in [64, 1000, 1 << 14, 1 << 20] {
      #expect(Self.whole(file, perfData, roundSize: roundSize) == whole, "rounds of \(roundSize)")
    }
  }

  @Test func traceFilesAreReduced() throws {
    for name in ["one-gib-pages/pvm.perf.data", "one-gib-pages/dies.trace.dat"] {
      let file = try TraceFile(path: recording(name))
      let times = file.reduce(into: [UInt64]()) { times, item in
        if case .event(let event) = item { times.append(event.time) }
      } join: {
        $0 += $1
      }
      #expect(times == file.times())
    }
  }
}
