import Testing

@testable import Traces

/// A recording read while it grows gives what the whole file gives.
@Suite("a growing trace") struct GrowingTraceTests {
  private static let pageSize = 256

  /// Two CPUs, four events a page, at the times 10, 20, … in turn.
  private static func page(cpu: Int, number: Int) -> [UInt8] {
    var page = PageBuilder(.amd64, time: UInt64(80 * number + 10 * cpu))
    for event in 0..<4 { page.event(delta: event == 0 ? 10 : 20, record(value: UInt64(event))) }
    return page.page(size: pageSize)
  }

  private static var metadata: TraceDatMetadata {
    var metadata = TraceDatMetadata(machine: .amd64, pageSize: pageSize, cpuCount: 2)
    metadata.systems = [("test", [formatText("first", id: 300)])]
    return metadata
  }

  private static func times(_ trace: inout GrowingTrace, until time: UInt64) -> [UInt64] {
    var times: [UInt64] = []
    trace.forEach(until: time) { item in
      if case .event(let event) = item { times.append(event.time) }
    }
    return times
  }

  @Test(
    "each event is given once, in order, however the pages come and however far they are complete",
    arguments: [[UInt64.max], [0, 45, 45, 400], [85, 90, 170, 250, 330], Array(stride(from: 0, through: 400, by: 5))])
  func once(_ limits: [UInt64]) throws {
    var trace = try GrowingTrace(Self.metadata)
    var given: [UInt64] = []
    var pages = (0..<4).flatMap { number in (0..<2).map { ($0, Self.page(cpu: $0, number: number)) } }[...]
    for limit in limits {
      // All that was recorded until then has come: here always at least that.
      while let (cpu, page) = pages.first, limit >= UInt64(80 * ((8 - pages.count) / 2)) {
        trace.add(page, cpu: cpu)
        pages.removeFirst()
      }
      let times = Self.times(&trace, until: limit)
      #expect(times.allSatisfy { $0 <= limit })
      given += times
    }
    given += Self.times(&trace, until: .max)
    #expect(given == (1...32).map { UInt64(10 * $0) })
  }

  @Test("threads get their names as they become known; part of a page is none")
  func namesAndParts() throws {
    var trace = try GrowingTrace(Self.metadata)
    trace.add(Array(Self.page(cpu: 0, number: 0).prefix(Self.pageSize - 1)), cpu: 1)
    trace.add(Self.page(cpu: 0, number: 0), cpu: 0)
    var names: [String?] = []
    func note(until time: UInt64, _ trace: inout GrowingTrace) {
      let context = trace.context
      trace.forEach(until: time) { item in
        if case .event(let event) = item { names.append(context.taskNames.text(of: event.taskName)) }
      }
    }
    note(until: 30, &trace)
    trace.add(commandLines: Array("42 CPU 0/KVM\n".utf8))
    note(until: .max, &trace)
    #expect(names == [nil, nil, "CPU 0/KVM", "CPU 0/KVM"])
  }
}
