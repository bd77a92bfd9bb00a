import SeededRandom
import SystemPackage
import Testing

@testable import Traces
@testable import inquest

@Suite struct TraceStatisticsTests {
  private static func trace(_ name: String) throws -> TraceFile {
    var root = FilePath(#filePath)
    for _ in 0..<4 { root.removeLastComponent() }
    return try TraceFile(path: root.appending("Tests/Fixtures/one-gib-pages/\(name)"))
  }

  private static func statistics(_ trace: TraceFile) -> TraceStatistics {
    var statistics = TraceStatistics(trace.context)
    trace.forEach { item in
      statistics.add(item)
      return .proceed
    }
    return statistics
  }

  /// The counts are those that `trace-cmd report -N` and grep give.
  @Test func countsExits() throws {
    let vcpu = try #require(Self.statistics(Self.trace("dies.trace.dat")).threads[128])
    #expect(vcpu.number == 0)
    #expect(vcpu.entries == 6585)
    let counts = Dictionary(uniqueKeysWithValues: vcpu.exits.elements.map { ($0.key.name, $0.value.count) })
    #expect(counts["io"] == 4395)
    #expect(counts["PF excp"] == 1080)
    #expect(counts["write_cr3"] == 1)
    #expect(counts.values.reduce(0, +) == 6585)
    // kvm_userspace_exit with errno -EINTR is no KVM_EXIT_UNKNOWN.
    #expect(vcpu.userspaceExits.elements.map(\.key) == [.reason(2), .reason(6), .reason(8), .error(-4)])
    #expect(vcpu.userspaceExits.elements.map(\.value) == [4300, 377, 1, 1])
  }

  @Test func countsWhatAHostWithoutExitsTraces() throws {
    let statistics = try Self.statistics(Self.trace("pvm.perf.data"))
    let vcpu = try #require(statistics.threads[14630])
    #expect(vcpu.exitCount == 0)
    #expect(vcpu.emulations == 19492)
    #expect(vcpu.walks == 3)
    #expect(vcpu.failedWalks == 3)
    #expect(statistics.exceptions.elements.map(\.key) == [.init(vector: 14, errorCode: 9)])
    #expect(statistics.exceptions.total == 1)
    #expect(statistics.ports.total == 86)
  }

  // MARK: Joining

  /// Something that happens in a trace.
  private enum Happening {
    case event(Int, time: UInt64, thread: Int32, payload: [UInt8])
    case lost(UInt64?)
    case damage

    func add(to statistics: inout TraceStatistics) {
      switch self {
      case .event(let index, let time, let thread, let payload):
        statistics.add(
          .event(
            TraceEvent(
              time: time, payload: unsafe payload.span.bytes, cpu: 0, threadID: thread,
              eventIndex: Int32(index), buffer: 0, taskName: .unknown)))
      case .lost(let count): statistics.add(.lost(LostEvents(cpu: 0, count: count), buffer: 0, time: 0))
      case .damage: statistics.add(.damage(TraceDamage(problem: .pageCut, offset: 0, buffer: 0)))
      }
    }
  }

  /// An event of this name whose fields have these values.
  private static func event(
    _ name: String, _ fields: [String: UInt64], time: UInt64, thread: Int32, _ context: TraceContext
  ) throws -> Happening {
    let index = try #require(context.events.index(of: name))
    let format = try context.events.format(at: index).get()
    var payload = [UInt8](repeating: 0, count: format.minimumRecordSize)
    for (field, value) in fields {
      let location = try #require(format.location(of: field), "\(name): \(field)")
      for byte in 0..<location.size {
        payload[location.offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
      }
    }
    return .event(index, time: time, thread: thread, payload: payload)
  }

  /// What four vCPUs of two VMs do, in any order: also exits without an entry and entries without an exit, as where
  /// events are lost.
  private static func happenings(_ count: Int, seed: UInt64, _ context: TraceContext) throws -> [Happening] {
    var random = SeededGenerator(seed: seed)
    var time: UInt64 = 1000
    return try (0..<count).map { _ in
      time += UInt64.random(in: 0...random.pick([3, 100, 100_000]), using: &random)
      let thread = random.pick([100, 101, 200, 201] as [Int32])
      func event(_ name: String, _ fields: [String: UInt64]) throws -> Happening {
        try Self.event(name, fields, time: time, thread: thread, context)
      }
      let vCPU = UInt64(thread % 100)
      func number(_ bound: UInt64) -> UInt64 { UInt64.random(in: 0..<bound, using: &random) }
      switch number(14) {
      case 0..<4:
        return try event("kvm_exit", ["exit_reason": random.pick([78, 123, 124]), "isa": 2, "vcpu_id": vCPU])
      case 4..<7: return try event("kvm_entry", ["vcpu_id": vCPU])
      case 7:
        return try event(
          "kvm_userspace_exit", ["reason": number(3), "errno": random.pick([0, UInt64(bitPattern: -4)])])
      case 8: return try event("kvm_emulate_insn", ["failed": number(2)])
      case 9: return try event("kvm_mmio", ["type": number(3), "gpa": 0xfee0_0000 + number(3), "len": 4])
      case 10: return try event("kvm_pio", ["rw": number(2), "port": 0x70 + number(2), "size": 1])
      case 11: return try event("kvm_msr", ["write": number(2), "ecx": 0x10 + number(2), "exception": number(2)])
      case 12:
        return try event("kvm_inj_exception", ["exception": number(2) + 13, "has_error": 1, "error_code": number(2)])
      default: return random.pick([.lost(number(9)), .lost(nil), .damage])
      }
    }
  }

  private static func counted(_ happenings: some Sequence<Happening>, _ context: TraceContext) -> TraceStatistics {
    happenings.reduce(into: TraceStatistics(context)) { $1.add(to: &$0) }
  }

  private static func shown(_ statistics: TraceStatistics, _ context: TraceContext) -> String {
    let report = StatisticsReport(statistics, context, top: 0)
    return report.text + report.json
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>) func joinsAtEveryPlace(seed: UInt64) throws {
    let context = try Self.trace("dies.trace.dat").context
    let happenings = try Self.happenings(60, seed: seed, context)
    let whole = Self.shown(Self.counted(happenings, context), context)
    #expect(whole.contains("vCPU 1, thread 201"))
    for place in 0...happenings.count {
      var joined = Self.counted(happenings[..<place], context)
      joined.join(Self.counted(happenings[place...], context))
      #expect(Self.shown(joined, context) == whole, "at \(place)")
    }
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>) func joinsAtEveryTwoPlaces(seed: UInt64) throws {
    let context = try Self.trace("dies.trace.dat").context
    let happenings = try Self.happenings(16, seed: seed, context)
    let whole = Self.shown(Self.counted(happenings, context), context)
    for first in 0...happenings.count {
      for second in first...happenings.count {
        let parts = [happenings[..<first], happenings[first..<second], happenings[second...]]
          .map { Self.counted($0, context) }
        var fromLeft = parts[0]
        fromLeft.join(parts[1])
        fromLeft.join(parts[2])
        var fromRight = parts[1]
        fromRight.join(parts[2])
        var joined = parts[0]
        joined.join(fromRight)
        #expect(Self.shown(fromLeft, context) == whole, "at \(first) and \(second)")
        #expect(Self.shown(joined, context) == whole, "at \(first) and \(second)")
      }
    }
  }

  /// Recordings of real guests, in parts of so many items each.
  @Test(arguments: ["pvm.perf.data", "dies.trace.dat"], [1, 7, 1000, 50_000])
  func joinsPartsOfARecording(name: String, size: Int) throws {
    let trace = try Self.trace(name)
    let context = trace.context
    var joined = TraceStatistics(context)
    var part = TraceStatistics(context)
    var count = 0
    // Joining single events of a whole recording takes long, and shows no more than its end does.
    var cursor = trace.cursor()
    if size == 1 { cursor.startAtLast(2000) }
    cursor.forEach { item in
      part.add(item)
      count += 1
      if count % size == 0 {
        joined.join(part)
        part = TraceStatistics(context)
      }
      return .proceed
    }
    joined.join(part)
    var whole = TraceStatistics(context)
    cursor = trace.cursor()
    if size == 1 { cursor.startAtLast(2000) }
    cursor.forEach { item in
      whole.add(item)
      return .proceed
    }
    #expect(Self.shown(joined, context) == Self.shown(whole, context))
  }

  @Test func estimatesQuantiles() {
    var durations = DurationStatistics()
    for duration in 1...100_000 as ClosedRange<UInt64> { durations.add(duration) }
    #expect(durations.count == 100_000)
    #expect(durations.mean == 50_000)
    #expect(durations.maximum == 100_000)
    for (part, exact) in [(0.5, 50_000.0), (0.99, 99_000), (0.0001, 10)] {
      #expect(abs(Double(durations.quantile(part)) - exact) <= exact * 0.016)
    }
    durations.add(.max)
    #expect(durations.quantile(1) == .max)
  }
}

@Suite struct LowestKeysTests {
  /// Beside keeping all and taking the lowest; the keys in any order, cut at every place.
  @Test(arguments: [1, 2, 3, 8, 30, 100], [1, 5, 40, 1000] as [UInt64]) func keepsTheLowest(limit: Int, range: UInt64) {
    var random = SeededGenerator(seed: range)
    let keys = (0..<120).map { _ in UInt64.random(in: 0..<range, using: &random) }
    let counts = keys.reduce(into: [UInt64: UInt64]()) { $0[$1, default: 0] += 1 }.sorted { $0.key < $1.key }
    for place in 0...keys.count {
      var joined = LowestKeys<UInt64, UInt64>(limit: limit)
      var next = joined
      for key in keys[..<place] { joined.count(key) }
      for key in keys[place...] { next.count(key) }
      joined.join(next)
      #expect(joined.elements.map(\.key) == counts.prefix(limit).map(\.key), "at \(place)")
      #expect(joined.elements.map(\.value) == counts.prefix(limit).map(\.value), "at \(place)")
      #expect(joined.count == min(counts.count, limit))
      #expect(joined.others == counts.dropFirst(limit).reduce(0) { $0 + $1.value })
      #expect(joined.total == UInt64(keys.count))
    }
  }
}

@Suite struct EventSelectionTests {
  @Test(arguments: [
    ("kvm_exit", "kvm_exit", true), ("kvm_exit", "kvm_e*", true), ("kvm_exit", "*exit", true),
    ("kvm_exit", "k?m_*", true), ("kvm_exit", "kvm", false), ("kvm_exit", "*entry", false), ("", "*", true),
    ("", "?", false), ("aab", "*ab", true), ("mississippi", "m*iss*pi", true), ("mississippi", "m*iss*ps", false),
  ])
  func matchesPatterns(_ text: String, _ pattern: String, _ expected: Bool) {
    #expect(Glob.matches(text, pattern) == expected)
  }

  @Test(
    arguments: [
      ("1", 1_000_000_000), ("12.5", 12_500_000_000), ("0.000000001", 1), ("1.0000000001", nil), ("x", nil),
      ("-1", nil), ("99999999999", nil),
    ] as [(String, UInt64?)])
  func readsTimes(_ text: String, _ expected: UInt64?) {
    #expect(EventSelection.Time(argument: text)?.nanoseconds == expected)
  }

  @Test(
    arguments: [
      ("0x10-0x20", 0x10...0x20), ("10", 0x10...0x10), ("20-10", nil), ("", nil), ("1-2-3", nil), ("g", nil),
    ] as [(String, ClosedRange<UInt64>?)])
  func readsRanges(_ text: String, _ expected: ClosedRange<UInt64>?) {
    #expect(EventSelection.AddressRange(argument: text)?.range == expected)
  }
}
