import FileBuilding
import SystemPackage
import Testing

@testable import Traces

@Suite struct TraceDatWriterTests {
  @Test(arguments: ["one-gib-pages/dies.trace.dat", "one-gib-pages/pvm.perf.data"], [true, false])
  func writesWhatItReads(_ name: String, compressed: Bool) throws {
    let source = try TraceFile(path: recording(name))
    let copy = try ScratchFile()
    try TraceDatWriter.convert(source, to: copy.path, compression: compressed ? .zstd : .none)
    let file = try TraceFile(path: copy.path)
    #expect(file.context.problems == [])
    #expect(file.context.kind == .traceDat(version: 7))
    #expect(file.context.events.count == source.context.events.count)
    // A CPU's events of one time keep their order; those of several CPUs are told apart by the CPU alone.
    func sorted(_ items: [KeptItem]) -> [String] { items.map { "\($0)" }.sorted() }
    #expect(sorted(file.kept()) == sorted(source.kept()))
    #expect(try file.context.symbols.text() == source.context.symbols.text())
  }

  @Test(arguments: TraceDatVariant.all) func writesEveryMachinesPages(_ variant: TraceDatVariant) throws {
    var builder = RingBufferPageBuilder(machine: variant.machine, pageSize: variant.pageSize)
    builder.noteLost(4)
    builder.noteLost(5)
    var metadata = TraceDatMetadata(machine: variant.machine, cpuCount: 2)
    metadata.systems = [("test", [formatText("first", id: 300)])]
    metadata.commandLines = Array("42 name\n".utf8)
    let times: [UInt64] = [7, 7, 8, 1 << 27, 1 << 40, (1 << 40) + 3]
    for (index, time) in times.enumerated() {
      let long = index == 2 ? [UInt8](repeating: 9, count: 300) : []
      let bytes = record(value: time, variant.machine.byteOrder) + long
      let isAppended = unsafe builder.append(time: time, record: bytes.span.bytes)
      #expect(isAppended)
    }
    let copy = try ScratchFile()
    var writer = try TraceDatWriter(copy.path, metadata, compression: variant.compression == .none ? .none : .zstd)
    try writer.beginBuffer(pageSize: variant.pageSize)
    try writer.beginCPU(1)
    try writer.append(builder.takePage())
    try writer.finish()
    let file = try TraceFile(path: copy.path)
    #expect(file.times() == times)
    #expect(file.kept().first == .lost(9, cpu: 1))
  }

  @Test func refusesWhatNoPageHolds() {
    var builder = RingBufferPageBuilder(machine: .amd64, pageSize: 4096)
    let large = [UInt8](repeating: 0, count: 4080)
    let isAppended = unsafe builder.append(time: 0, record: large.span.bytes)
    #expect(!isAppended)
    #expect(builder.isEmpty)
  }
}
