import Files
import Testing

@testable import Traces

/// The windows before the events looked for, beside those that a plain walk over the whole trace finds.
@Suite struct ThreadWindowsTests {
  /// An event of a made-up trace. The value 8 is looked for.
  struct Made {
    var time: UInt64
    var cpu: Int
    var thread: UInt32
    var value: UInt64
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    /// The threads' deaths, as shares of the trace.
    var deaths: [(thread: UInt32, at: Double)]
    var threads: UInt32 = 3
    var cpus = 3
    /// A thread that has only few events, this far apart.
    var rareThread: UInt32?
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "no death", deaths: []),
    Case(name: "at the end", deaths: [(1, 1)]),
    Case(name: "at the beginning", deaths: [(1, 0)]),
    Case(name: "in the middle", deaths: [(2, 0.5)]),
    Case(name: "twice", deaths: [(1, 0.2), (1, 0.7)]),
    Case(name: "every thread somewhere", deaths: [(0, 0.1), (1, 0.5), (2, 0.99)]),
    Case(name: "every thread at nearly the same time", deaths: [(0, 0.5), (1, 0.501), (2, 0.502)]),
    Case(name: "one between another's", deaths: [(0, 0.3), (1, 0.5), (0, 0.7)]),
    Case(name: "a thread of few events", deaths: [(2, 0.9), (0, 0.4)], rareThread: 2),
    Case(name: "one thread on one CPU", deaths: [(0, 0.6)], threads: 1, cpus: 1),
    Case(name: "many threads", deaths: [(5, 0.2), (17, 0.8)], threads: 40, cpus: 8),
  ]

  static let count = 90_000

  /// Events whose times rise, with some equal ones; threads move between CPUs.
  static func events(_ example: Case) -> [Made] {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    func random(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % bound
    }
    var time: UInt64 = 1000
    var cpus = (0..<example.threads).map { Int($0) % example.cpus }
    var events: [Made] = []
    for index in 0..<count {
      time += random(4)
      var thread = UInt32(random(UInt64(example.threads)))
      if thread == example.rareThread, index % 900 != 0 { thread = 0 }
      if random(500) == 0 { cpus[Int(thread)] = Int(random(UInt64(example.cpus))) }
      events.append(Made(time: time, cpu: cpus[Int(thread)], thread: 100 + thread, value: 1000 + random(50)))
    }
    for death in example.deaths {
      let place = Int(death.at * Double(count - 1))
      events[place].thread = 100 + death.thread
      events[place].value = 8
    }
    return events
  }

  static func traceDat(_ events: [Made], _ example: Case, _ compression: TraceDatBuilder.Compression) throws
    -> TraceFile
  {
    var builder = TraceDatBuilder()
    builder.version = 7
    builder.compression = compression
    for cpu in 0..<example.cpus {
      var pages: [UInt8] = []
      var page: PageBuilder?
      var entries = 0
      var last: UInt64 = 0
      for event in events where event.cpu == cpu {
        if entries == 150 || event.time < last, let full = page {
          pages += full.page(size: 4096)
          page = nil
        }
        if page == nil {
          page = PageBuilder(.amd64, time: event.time)
          // Events are missing before some pages.
          if event.time % 5 == 0 { page?.flags = 1 << 31 }
          last = event.time
          entries = 0
        }
        page?.event(delta: UInt32(event.time - last), record(threadID: event.thread, value: event.value))
        last = event.time
        entries += 1
      }
      if let page { pages += page.page(size: 4096) }
      builder.cpus.append(pages)
    }
    return try TraceFile(bytes: builder.build())
  }

  /// Rounds in which each CPU's events stand together.
  static func perfData(_ events: [Made], _ example: Case, hasRounds: Bool) throws -> TraceFile {
    var builder = PerfDataBuilder()
    var start = 0
    var number = 0
    while start < events.count {
      let end = min(start + 700, events.count)
      number += 1
      builder.comm(threadID: 100, "round \(number % 7)", time: events[start].time)
      for cpu in 0..<example.cpus {
        for event in events[start..<end] where event.cpu == cpu {
          builder.add(time: event.time, cpu: UInt32(cpu), threadID: event.thread, value: event.value)
        }
      }
      if number % 5 == 0 { builder.lost(3, time: events[end - 1].time) }
      if hasRounds { builder.finishRound() }
      start = end
    }
    return try TraceFile(bytes: builder.file())
  }

  struct Item: Equatable {
    var time: UInt64
    var cpu: Int
    var thread: Int32
    var task: String?
    var payload: [UInt8]
    var isAfterHole: Bool
  }

  static func kept(
    _ file: TraceFile, _ event: borrowing TraceEvent, isAfterHole: Bool
  ) -> Item {
    Item(
      time: event.time, cpu: event.cpu, thread: event.threadID, task: file.context.taskNames.text(of: event.taskName),
      payload: event.payload.copied, isAfterHole: isAfterHole)
  }

  /// What the windows must hold, found by keeping everything. A hole counts if it lies in a window.
  static func expected(_ file: TraceFile, size: Int) -> [Item] {
    var items: [Item] = []
    var holes: [Int] = []
    var positions: [Int32: [Int]] = [:]
    var windows: [Int32: [Int]] = [:]
    file.forEach { item in
      guard case .event(let event) = item else {
        holes.append(items.count)
        return .proceed
      }
      positions[event.threadID, default: []].append(items.count)
      if event.payload.load(UInt64.self, at: 8, .littleEndian) == 8 {
        windows[event.threadID] = Array(positions[event.threadID, default: []].suffix(size))
      }
      items.append(kept(file, event, isAfterHole: false))
      return .proceed
    }
    if windows.isEmpty { windows[0] = Array(items.indices.suffix(size)) }
    let chosen = Set(windows.values.joined()).sorted()
    let spans = windows.values.compactMap { window in window.first.map { $0...(window.last ?? $0) } }
    return chosen.indices.map { index in
      let previous = index > 0 ? chosen[index - 1] : -1
      var item = items[chosen[index]]
      item.isAfterHole = holes.contains { hole in
        hole > previous && hole <= chosen[index] && spans.contains { $0.contains(hole) }
      }
      return item
    }
  }

  static func found(_ file: TraceFile, size: Int) throws -> [Item] {
    let pattern = try #require(
      EventPattern("test:first", where: "value", isOneOf: [8], in: file.context))
    let windows = ThreadWindows(file, before: pattern, size: size)
    #expect(windows.eventCount == count)
    #expect(windows.damage.isEmpty)
    var items: [Item] = []
    var isAfterHole = false
    windows.forEach { item in
      guard case .event(let event) = item else {
        isAfterHole = true
        return
      }
      items.append(kept(file, event, isAfterHole: isAfterHole))
      isAfterHole = false
    }
    return items
  }

  @Test(arguments: cases, [16, 4096])
  func areThoseOfAWholeWalk(example: Case, size: Int) throws {
    let events = Self.events(example)
    let files = [
      ("trace.dat", try Self.traceDat(events, example, .none)),
      ("trace.dat, zlib", try Self.traceDat(events, example, .zlib)),
      ("perf.data", try Self.perfData(events, example, hasRounds: true)),
      ("perf.data of one round", try Self.perfData(events, example, hasRounds: false)),
    ]
    for (name, file) in files {
      let found = try Self.found(file, size: size)
      let expected = Self.expected(file, size: size)
      #expect(!expected.isEmpty)
      #expect(found.count == expected.count, "\(name)")
      let different = zip(found, expected).first { $0 != $1 }
      #expect(different == nil, "\(name)")
    }
  }

  /// Where a piece begins, nothing may look more like a record than the records themselves.
  @Test func pieceBoundariesAreNotTakenFromRecordsLookingAlike() throws {
    let example = Case(name: "", deaths: [(1, 0.3)])
    var events = Self.events(example)
    // A value that reads as the head of a sample of 8 bytes.
    for index in events.indices where events[index].value != 8 { events[index].value = 0x0008_0000_0000_0009 }
    let file = try Self.perfData(events, example, hasRounds: true)
    #expect(try Self.found(file, size: 64) == Self.expected(file, size: 64))
  }

  /// Times that fall within a CPU's events, as no kernel writes them.
  @Test func timesThatFallAreReadInTheFilesOrder() throws {
    let example = Case(name: "", deaths: [(0, 0.5), (1, 0.9)], cpus: 1)
    var events = Self.events(example)
    for index in events.indices.suffix(30_000) { events[index].time -= 90_000 }
    let file = try Self.traceDat(events, example, .none)
    #expect(try Self.found(file, size: 64) == Self.expected(file, size: 64))
  }
}
