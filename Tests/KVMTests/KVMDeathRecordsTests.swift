import KVM
import SystemPackage
import Testing

@testable import Traces

/// The records of the deaths, beside those that a plain walk over the whole trace finds.
@Suite struct KVMDeathRecordsTests {
  @Test(arguments: ["dies.trace.dat", "boots.trace.dat", "pvm.perf.data"])
  func areThoseOfAWholeWalk(name: String) throws {
    let file = try TraceFile(path: recording(name))
    let deaths = KVMDeathRecords(file)
    let expected = WholeWalk(file)
    #expect(deaths.eventCount == expected.eventCount)
    #expect(!deaths.records.isEmpty)
    #expect(deaths.records == expected.records)
    #expect(deaths.holes.isEmpty)
    #expect(deaths.damage.isEmpty)
  }

  private func recording(_ name: String) -> FilePath {
    var tests = FilePath(#filePath)
    for _ in 0..<2 { tests.removeLastComponent() }
    return tests.appending("Fixtures/one-gib-pages").appending(name)
  }
}

/// The last 4096 KVM events of each thread that died, up to its last death; else of the trace.
private struct WholeWalk {
  var eventCount = 0
  var records: [KVMRecord] = []

  init(_ file: TraceFile) {
    let context = file.context
    var decoders: [Int: KVMDecoder] = [:]
    var all: [KVMRecord?] = []
    var positions: [Int32: [Int]] = [:]
    var windows: [Int32: Set<Int>] = [:]
    file.forEach { item in
      guard case .event(let event) = item else { return .proceed }
      positions[event.threadID, default: []].append(all.count)
      var record: KVMRecord?
      if let index = event.event, case .success(let format) = context.events.format(at: index) {
        if decoders[index] == nil { decoders[index] = KVMDecoder(format: format) }
        if let decoder = decoders[index] {
          record = KVMRecord(
            time: event.time, cpu: event.cpu, task: context.taskNames.text(of: event.taskName),
            threadID: event.threadID, event: decoder.decode(event.payload))
        }
      }
      if case .userspaceExit(let reason, _) = record?.event,
        [.shutdown, .failEntry, .internalError].contains(reason)
      {
        windows[event.threadID] = Set(positions[event.threadID, default: []].suffix(4096))
      }
      all.append(record)
      return .proceed
    }
    eventCount = all.count
    let chosen = windows.isEmpty ? Set(all.indices.suffix(4096)) : windows.values.reduce(into: []) { $0.formUnion($1) }
    records = chosen.sorted().compactMap { all[$0] }
  }
}
