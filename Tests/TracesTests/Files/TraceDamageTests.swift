import FileBuilding
import Files
import SeededRandom
import Testing

@testable import Traces

/// Files that are cut off or altered: nothing traps or hangs, what comes before the damage is read, and the error says
/// where.
@Suite struct TraceDamageTests {
  @Test(arguments: TraceDatVariant.all) func readsWhatIsLeftOfACutTraceDat(_ variant: TraceDatVariant) throws {
    var builder = variant.builder()
    builder.cpus = [variant.page([1, 2]) + variant.page([3, 4]), variant.page([5, 6])]
    let whole = builder.build()
    let all = try TraceFile(bytes: whole).times()
    var cuts = Set(builder.boundaries.flatMap { [$0 - 1, $0, $0 + 1, $0 + 9, $0 + 40] })
    cuts.formUnion([0, 1, 10, 11, 12, 13, 17, 18, whole.count - 1])
    for cut in cuts.sorted() where cut >= 0 && cut < whole.count {
      let part: TraceFile
      do {
        part = try TraceFile(bytes: Array(whole[..<cut]))
      } catch let error as TraceFileError {
        #expect(error.offset.map { $0 <= cut } ?? false, "cut at \(cut): \(error)")
        continue
      }
      let items = part.kept()
      let times = part.times()
      #expect(Set(times).isSubset(of: all), "cut at \(cut)")
      let saysSo =
        !part.context.problems.isEmpty
        || items.contains { if case .damage = $0 { true } else { false } }
      #expect(saysSo || times == all, "cut at \(cut)")
    }
  }

  @Test(arguments: TraceDatVariant.all) func keepsThePagesBeforeACut(_ variant: TraceDatVariant) throws {
    guard variant.version == 6 else { return }
    var builder = variant.builder()
    builder.cpus = [variant.page([1, 2]) + variant.page([3, 4])]
    let whole = builder.build()
    let start = try #require(builder.boundaries.last)
    let file = try TraceFile(bytes: Array(whole[..<(start + variant.pageSize + 20)]))
    #expect(file.times() == [1, 2])
    #expect(file.context.problems.map(\.offset) == [start + variant.pageSize + 20])
  }

  @Test func passesOverDamagedPages() throws {
    let variant = TraceDatVariant(version: 6, machine: .amd64, pageSize: 4096)
    var overfull = variant.page([20])
    overfull[8] = 0xff
    overfull[9] = 0xff
    var beyond = PageBuilder(.amd64, time: 30)
    beyond.event(delta: 0, record(value: 30))
    beyond.header(28, 1)
    var builder = variant.builder()
    builder.cpus = [variant.page([10]) + overfull + beyond.page(size: 4096) + variant.page([40])]
    let items = try TraceFile(bytes: builder.build()).kept()
    let marks = items.map { item -> String in
      switch item {
      case .event(let time, _, _, _, _, _): "\(time)"
      case .lost: "lost"
      case .damage(let problem): "\(problem)"
      }
    }
    #expect(marks == ["10", "pageOverfull", "30", "eventBeyondPage", "40"])
  }

  /// Each byte, one after the other, set to values that lengths, offsets and counts hate.
  @Test(arguments: [6, 7]) func survivesAnyAlteredByte(version: Int) throws {
    let variant = TraceDatVariant(
      version: version, machine: .amd64, pageSize: 4096, compression: version == 7 ? .zlib : .none)
    var builder = variant.builder()
    builder.cpus = [variant.page([1, 2]) + variant.page([3, 4]), variant.page([5, 6])]
    try alterEachByte(of: builder.build(), except: builder.boundaries[1]..<builder.boundaries[4])
  }

  @Test func survivesAnyAlteredByteOfPerfData() throws {
    var builder = PerfDataBuilder()
    builder.add(time: 10, cpu: 0, value: 1)
    builder.comm(threadID: 42, "name", time: 11)
    builder.add(time: 12, cpu: 1, value: 2)
    builder.lost(3, time: 13)
    builder.finishRound()
    builder.add(time: 11, cpu: 0, value: 3)
    try alterEachByte(of: builder.file(), except: 0..<0)
    try alterEachByte(of: builder.pipe(), except: 0..<0)
  }

  private func alterEachByte(of whole: [UInt8], except: Range<Int>) throws {
    for offset in whole.indices where !except.contains(offset) {
      // Zeros that pad pages tell nothing.
      if whole[offset] == 0, offset > 4, whole[(offset - 4)..<offset].allSatisfy({ $0 == 0 }), offset % 97 != 0 {
        continue
      }
      for value in [0, 0xff, whole[offset] &+ 1] as [UInt8] where value != whole[offset] {
        var bytes = whole
        bytes[offset] = value
        guard let file = try? TraceFile(bytes: bytes) else { continue }
        var count = 0
        file.forEach { _ in
          count += 1
          return count < 10_000 ? .proceed : .stop
        }
        #expect(count < 10_000, "byte \(offset) as \(value)")
        var cursor = file.cursor()
        cursor.startAtLast(2)
        cursor.forEach { _ in .proceed }
      }
    }
  }

  @Test(arguments: ["one-gib-pages/dies.trace.dat", "one-gib-pages/pvm.perf.data"])
  func survivesRandomDamageToRecordings(_ name: String) throws {
    let whole = try ScratchFile.contents(of: recording(name))
    var random = SeededGenerator(seed: 1)
    for _ in 0..<60 {
      var bytes = whole
      for _ in 0..<(1 + Int(random.next() % 40)) {
        // Most of the file are symbols or samples; half of the damage goes to the ends.
        let place =
          random.next() % 2 == 0
          ? Int(random.next() % UInt64(bytes.count)) : (bytes.count - 1 - Int(random.next() % 2000)) % bytes.count
        bytes[place] = UInt8(truncatingIfNeeded: random.next())
      }
      bytes.removeLast(Int(random.next() % 3) * Int(random.next() % UInt64(bytes.count / 2)))
      guard let file = try? TraceFile(bytes: bytes) else { continue }
      var count = 0
      file.forEach { _ in
        count += 1
        return .proceed
      }
      #expect(count < 1_000_000)
    }
  }
}
