struct PerfDataFile: Sendable { static let magic = Array("PERFILE2".utf8)
 var context: TraceContext
 init(_ memory: MappedMemory, problem: TraceFileError? = nil) throws(TraceFileError) { throw TraceFileError("no") } }
struct PerfDataCursor { init(_ file: PerfDataFile, cpus: Set<Int>?) {}
  mutating func forEach<Failure: Error>(
    _ body: (borrowing TraceItem) throws(Failure) -> Walk
  ) throws(Failure) {}
  mutating func startAtLast(_ count: Int) {}
}
