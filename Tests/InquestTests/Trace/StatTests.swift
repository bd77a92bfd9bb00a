import Foundation
import JSONDocuments
import Testing

@Suite("inquest stat")
struct StatTests {
  @Test("the numbers are the same as text and as JSON, from a file and from a pipe")
  func shows() async throws {
    let file = fixture("dies.trace.dat")
    let text = try await inquest(["stat", file])
    #expect(text.status == 0, "\(text)")
    #expect(text.standardOutput.hasPrefix("trace.dat version 7: 80648 events in "))
    #expect(text.standardOutput.contains("vCPU 0, thread 128: 6585 exits, 6585 entries"))
    #expect(text.standardError.isEmpty)
    let piped = try await inquest(
      ["stat", "--format", "json", "-"], standardInput: try Data(contentsOf: URL(filePath: file)))
    let document = try JSONValue(piped.standardOutput)
    #expect(document["events"]?.number == 80648)
    let exits = document["vcpus"]?.array?.first?["exits"]?.array ?? []
    #expect(exits.reduce(0) { $0 + ($1["count"]?.number ?? 0) } == 6585)
  }

  /// A recording long enough to be counted in parts: the one there is, many times over.
  ///
  /// With a time limit behind the end it is counted in one go, because what a limit selects depends on what came before.
  @Test(
    "a recording counted in parts gives what one walk over it gives",
    arguments: [["--format", "text"], ["--format", "json"]])
  func countsInParts(format: [String]) async throws {
    let folder = try Folder()
    let file = try folder.write(try repeated(fixture("pvm.perf.data"), times: 12), to: "long.perf.data")
    let arguments = ["stat", "--top", "0", file] + format
    let inParts = try await inquest(arguments)
    let atOnce = try await inquest(arguments + ["--to", "99999999"])
    #expect(inParts.status == 0, "\(inParts)")
    #expect(inParts.standardOutput.contains("\(12 * 20319)"))
    #expect(inParts.standardOutput == atOnce.standardOutput)
  }

  /// A perf.data whose records come several times, as the rounds of a longer recording.
  private func repeated(_ path: String, times: Int) throws -> [UInt8] {
    let file = [UInt8](try Data(contentsOf: URL(filePath: path)))
    func word(_ offset: Int) -> Int { (0..<8).reduce(0) { $0 | Int(file[offset + $1]) << (8 * $1) } }
    // struct perf_file_header: where the records lie, and behind them the features' offsets and sizes.
    let records = word(40)..<(word(40) + word(48))
    let featureCount = (72..<104).reduce(0) { $0 + file[$1].nonzeroBitCount }
    let added = (times - 1) * records.count
    var bytes = Array(file[..<records.upperBound])
    for _ in 1..<times { bytes += file[records] }
    bytes += file[records.upperBound...]
    func store(_ value: Int, at offset: Int) {
      for byte in 0..<8 { bytes[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
    }
    store(records.count + added, at: 48)
    for feature in 0..<featureCount {
      store(word(records.upperBound + 16 * feature) + added, at: records.upperBound + added + 16 * feature)
    }
    return bytes
  }
}
