import Testing
import Traces

@testable import Capture

/// Records as the kernel writes them, oldest first.
@Suite("records of a perf ring that is read while it is written")
struct PerfStreamTests {
  private static func header(_ type: UInt8, _ size: UInt8) -> [UInt8] { [type, 0, 0, 0, 0, 0, size, 0] }

  private static let event: [UInt8] =
    header(9, 44) + [1, 0, 0, 0, 7, 0, 0, 0] + [2, 0, 0, 0, 0, 0, 0, 1] + [3, 0, 0, 0, 0, 0, 0, 0] + [8, 0, 0, 0]
    + [85, 0, 0, 0, 7, 0, 0, 0]
  private static let lost: [UInt8] = header(2, 24) + [1, 0, 0, 0, 0, 0, 0, 0] + [5, 1, 0, 0, 0, 0, 0, 0]
  private static let name: [UInt8] = header(3, 24) + [1, 0, 0, 0, 9, 0, 0, 0] + Array("vcpu".utf8) + [0, 0, 0, 0]

  private func words(of bytes: [UInt8]) throws -> [String] {
    var words: [String] = []
    let span = bytes.span
    try PerfStream.forEachRecord(in: span.record) { record in
      switch record {
      case .event(let time, let cpu, let threadID, let payload):
        words.append("\(time) \(cpu) \(threadID) \(payload.byteCount)")
      case .lost(let count): words.append("lost \(count)")
      case .name(let threadID, let name): words.append("\(threadID) is \(name)")
      }
    }
    return words
  }

  @Test("events, losses and names, in order")
  func order() throws {
    let other = Self.header(10, 16) + [UInt8](repeating: 0, count: 8)
    #expect(
      try words(of: Self.event + Self.lost + other + Self.name + Self.event)
        == ["72057594037927938 3 7 8", "lost 261", "9 is vcpu", "72057594037927938 3 7 8"])
  }

  @Test(
    "what claims too much or too little gives nothing",
    arguments: [
      [], [9], header(9, 0), header(9, 7), header(9, 255), header(9, 8), header(2, 16) + [0, 0, 0, 0, 0, 0, 0, 0],
      Array(event.prefix(32)) + [9, 0, 0, 0] + [UInt8](repeating: 0, count: 8), Array(event.dropLast()),
    ] as [[UInt8]])
  func hostile(_ bytes: [UInt8]) throws { #expect(try words(of: bytes) == []) }
}
