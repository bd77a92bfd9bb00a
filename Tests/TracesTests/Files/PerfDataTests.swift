import CZstd
import FileBuilding
import Files
import Testing

@testable import Traces

@Suite struct PerfDataTests {
  enum Form: CaseIterable, Sendable {
    case file
    case pipe
    case bigEndianFile
    case bigEndianPipe

    var byteOrder: ByteOrder { self == .file || self == .pipe ? .littleEndian : .bigEndian }

    func build(_ builder: inout PerfDataBuilder) -> [UInt8] {
      self == .file || self == .bigEndianFile ? builder.file() : builder.pipe()
    }
  }

  @Test(arguments: Form.allCases) func readsSamples(_ form: Form) throws {
    var builder = PerfDataBuilder(form.byteOrder)
    builder.add(time: 10, cpu: 3, value: 99)
    let file = try TraceFile(bytes: form.build(&builder))
    #expect(file.context.problems == [])
    #expect(file.context.host.release == "6.18.0")
    let items = file.kept()
    guard case .event(10, 3, 42, "first", nil, let payload) = items.first else {
      Issue.record("\(items)")
      return
    }
    // The raw data are padded.
    #expect(Array(payload.prefix(16)) == record(value: 99, form.byteOrder))
  }

  @Test(arguments: Form.allCases) func sortsRounds(_ form: Form) throws {
    var builder = PerfDataBuilder(form.byteOrder)
    for (cpu, times) in [(0, [10, 20, 30]), (1, [11, 21, 29])] as [(UInt32, [UInt64])] {
      for time in times { builder.add(time: time, cpu: cpu, value: time) }
    }
    builder.finishRound()
    // Late for the first round, as the second may be.
    for (cpu, times) in [(0, [40, 41]), (1, [30, 31, 45])] as [(UInt32, [UInt64])] {
      for time in times { builder.add(time: time, cpu: cpu, value: time) }
    }
    builder.finishRound()
    builder.finishRound()
    for time in [50, 60] as [UInt64] { builder.add(time: time, cpu: 0, value: time) }
    let file = try TraceFile(bytes: form.build(&builder))
    let all: [UInt64] = [10, 11, 20, 21, 29, 30, 30, 31, 40, 41, 45, 50, 60]
    #expect(file.times() == all)
    for count in [0, 1, 2, 3, 6, 12, 13, 20] {
      var cursor = file.cursor()
      cursor.startAtLast(count)
      #expect(file.times(cursor) == all.suffix(count), "the last \(count)")
    }
  }

  /// `--overwrite`: each CPU's buffer has the newest first.
  @Test(arguments: Form.allCases) func readsBackwardBuffers(_ form: Form) throws {
    var builder = PerfDataBuilder(form.byteOrder)
    // More than fit between two of the places that a run is read back from.
    let times = (0..<3000).map { UInt64(1000 + 2 * $0) }
    for time in times.reversed() { builder.add(time: time, cpu: 0, value: time) }
    for time in times.reversed() { builder.add(time: time + 1, cpu: 1, value: time) }
    builder.finishRound()
    let file = try TraceFile(bytes: form.build(&builder))
    let all = times.flatMap { [$0, $0 + 1] }
    // Said of the first difference alone: there are thousands.
    #expect(zip(file.times(), all).first { $0 != $1 } == nil)
    #expect(file.times().count == all.count)
    var cursor = file.cursor()
    cursor.startAtLast(7)
    #expect(file.times(cursor) == all.suffix(7))
  }

  /// Longer than what is kept in memory at once, and than a run may be.
  @Test(arguments: [false, true]) func readsLongRounds(isFalling: Bool) throws {
    var builder = PerfDataBuilder()
    let times = (0..<24_000).map { UInt64(1000 + 2 * $0) }
    for cpu in 0..<2 as Range<UInt32> {
      for time in isFalling ? times.reversed() : times { builder.add(time: time + UInt64(cpu), cpu: cpu, value: time) }
    }
    let all = times.flatMap { [$0, $0 + 1] }
    let found = try TraceFile(bytes: builder.file()).times()
    #expect(found.count == all.count)
    #expect(zip(found, all).first { $0 != $1 } == nil)
  }

  @Test(arguments: Form.allCases) func tellsAttributesApart(_ form: Form) throws {
    var builder = PerfDataBuilder(form.byteOrder)
    builder.hasSecondAttribute = true
    builder.add(time: 1, cpu: 0, value: 5)
    builder.add(time: 2, cpu: 1, value: 6, second: true)
    let names = try TraceFile(bytes: form.build(&builder)).kept().map { item -> String in
      guard case .event(let time, let cpu, _, let name, _, _) = item else { return "\(item)" }
      return "\(time) \(cpu) \(name ?? "?")"
    }
    #expect(names == ["1 0 first", "2 1 second"])
  }

  @Test(arguments: Form.allCases) func followsNamesAndLosses(_ form: Form) throws {
    var builder = PerfDataBuilder(form.byteOrder)
    builder.add(time: 10, cpu: 0, value: 0)
    builder.comm(threadID: 42, "before", time: 0)
    builder.comm(threadID: 42, "renamed", time: 20)
    builder.add(time: 21, cpu: 0, value: 0)
    builder.fork(threadID: 43, parent: 42, time: 22)
    builder.lost(5, time: 23)
    builder.add(time: 24, cpu: 0, threadID: 43, value: 0)
    builder.add(time: 15, cpu: 1, value: 0)
    let texts = try TraceFile(bytes: form.build(&builder)).kept().map { item -> String in
      switch item {
      case .event(let time, _, _, _, let task, _): "\(time) \(task ?? "?")"
      case .lost(let count, let cpu): "lost \(count ?? 0) cpu \(cpu ?? -1)"
      case .damage(let problem): "\(problem)"
      }
    }
    #expect(texts == ["10 before", "15 before", "21 renamed", "lost 5 cpu 1", "24 renamed"])
  }

  struct Losses: Sendable, CustomTestStringConvertible {
    var name: String
    var make: @Sendable (inout PerfDataBuilder) -> Void
    /// What is told of losses, in order.
    var counts: [UInt64]
    var testDescription: String { name }
  }

  static let losses = [
    Losses(name: "in place", make: { $0.lost(5, time: 11) }, counts: [5]),
    Losses(
      name: "in place, and in all",
      make: {
        $0.lost(5, time: 11)
        $0.lost(2, time: 12)
        $0.finishRound()
        $0.lostSamples(4)
        $0.lostSamples(3)
      }, counts: [5, 2]),
    Losses(
      name: "more in all than in place",
      make: {
        $0.lost(5, time: 11)
        $0.lostSamples(9)
      }, counts: [5, 4]),
    Losses(name: "in all", make: { $0.lostSamples(9) }, counts: [9]),
    Losses(
      name: "by the processor", make: { $0.lostSamples(9, time: 11) }, counts: [9]),
    Losses(name: "by a filter", make: { $0.lostSamples(9, isFiltered: true) }, counts: []),
  ]

  /// What the kernel counts twice is told once, wherever reading begins.
  @Test(arguments: Form.allCases, losses) func countsLossesOnce(_ form: Form, _ losses: Losses) throws {
    var builder = PerfDataBuilder(form.byteOrder)
    builder.add(time: 10, cpu: 1, value: 0)
    losses.make(&builder)
    for time in [20, 30, 40] as [UInt64] {
      builder.finishRound()
      builder.add(time: time, cpu: 1, value: 0)
    }
    let file = try TraceFile(bytes: form.build(&builder))
    func counts(_ cursor: TraceCursor) -> [UInt64] {
      file.kept(cursor).compactMap { if case .lost(let count, _) = $0 { count } else { nil } }
    }
    #expect(counts(file.cursor()) == losses.counts)
    #expect(counts(file.cursor(cpus: [1])) == losses.counts)
    for count in 0...4 {
      var cursor = file.cursor()
      cursor.startAtLast(count)
      // The whole is what is told at the end.
      #expect(counts(cursor).reduce(0, +) <= losses.counts.reduce(0, +), "the last \(count)")
      #expect(losses.counts.reversed().starts(with: counts(cursor).reversed()), "the last \(count)")
    }
  }

  /// The parent's new name lies in the file after the fork that passes it on, for another CPU's buffer was copied first.
  @Test(arguments: Form.allCases) func namesThreadsAtTheEnd(_ form: Form) throws {
    var builder = PerfDataBuilder(form.byteOrder)
    builder.comm(threadID: 42, "old", time: 0)
    builder.fork(threadID: 43, parent: 42, time: 30)
    builder.comm(threadID: 42, "new", time: 20)
    for time in [40, 50, 60, 70] as [UInt64] {
      builder.finishRound()
      builder.add(time: time, cpu: 0, threadID: 43, value: 0)
    }
    let file = try TraceFile(bytes: form.build(&builder))
    for count in 1...4 {
      var cursor = file.cursor()
      cursor.startAtLast(count)
      #expect(file.kept(cursor) == file.kept().suffix(count), "the last \(count)")
    }
  }

  /// A record may be cut between two pieces of the compressed stream, and plain records may stand between them.
  @Test(arguments: [1, 7, 50, 1000], [81, 83] as [UInt32])
  func readsCompressedRecords(pieces: Int, type: UInt32) throws {
    var plain = PerfDataBuilder()
    for time in 1...200 as ClosedRange<UInt64> { plain.add(time: time, cpu: 0, value: time) }
    let stream = try ZstdEncoder().encode(unsafe plain.records.span.bytes)
    var builder = PerfDataBuilder()
    let size = max(1, stream.count / pieces)
    for start in stride(from: 0, to: stream.count, by: size) {
      var body = Array(stream[start..<min(start + size, stream.count)])
      if type == 83 {
        var head = ByteBuilder()
        head.integer(UInt64(body.count))
        body = head.bytes + body
        while body.count % 8 != 0 { body.append(0xee) }
      }
      builder.append(type, body)
    }
    let file = try TraceFile(bytes: builder.pipe())
    #expect(file.times() == Array(1...200))
    #expect(file.kept().count == 200)
  }

  @Test func readsWhatIsLeftOfACutFile() throws {
    var builder = PerfDataBuilder()
    for time in 1...20 as ClosedRange<UInt64> { builder.add(time: time, cpu: 0, value: time) }
    let whole = builder.file()
    for cut in 0..<whole.count {
      do {
        let file = try TraceFile(bytes: Array(whole[..<cut]))
        let items = file.kept()
        let times = file.times()
        #expect(times == Array(1...20).prefix(times.count).map(UInt64.init), "cut at \(cut)")
        #expect(
          !file.context.problems.isEmpty || items.contains { if case .damage = $0 { true } else { false } },
          "cut at \(cut)")
      } catch let error as TraceFileError {
        #expect(cut < 200, "cut at \(cut): \(error)")
      }
    }
    let pipe = builder.pipe()
    let recordsStart = pipe.count - builder.records.count
    for cut in recordsStart..<pipe.count {
      let items = try TraceFile(bytes: Array(pipe[..<cut])).kept()
      let whole = (cut - recordsStart) / (builder.records.count / 20)
      #expect(
        items.count == whole + ((cut - recordsStart) % (builder.records.count / 20) == 0 ? 0 : 1), "cut at \(cut)")
    }
  }

  @Test func readsTheOverwriteRecording() throws {
    let file = try TraceFile(path: recording("one-gib-pages/pvm.perf.data"))
    let times = file.times()
    #expect(times.count == 20319)
    #expect(times == times.sorted())
    #expect(file.context.host.release == "6.18.44-fc-v669")
    #expect(file.context.host.commandLine.contains("--overwrite"))
  }
}
