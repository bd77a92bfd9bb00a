import CLinux
import Files
import Glibc
import SystemPackage
import Traces

/// A ring of perf that is read while it is written: one CPU's events in their order.
final class PerfStream {
  private let mapping: PerfMapping
  /// What was last taken out of the ring.
  private var taken: [UInt8] = []

  /// What is in a ring.
  enum Record: ~Escapable {
    /// A tracepoint's record, from common_type on, perf's padding included.
    case event(time: UInt64, cpu: Int, threadID: Int32, RawSpan)
    /// Events found no room.
    case lost(UInt64)
    /// A thread has this name from here on.
    case name(threadID: Int32, String)
  }

  init(_ target: PerfTarget, tracepoints: [Tracepoint], size: Int) throws(Errno) {
    mapping = try PerfMapping(tracepoints, of: target, size: size, isBackward: false)
    taken.reserveCapacity(mapping.size)
  }

  /// Readable when there is something to take.
  var descriptor: FileDescriptor? { mapping.events.first?.descriptor }

  /// Takes what is there, oldest first.
  func drain(_ body: (borrowing Record) throws -> Void) throws {
    let tail = unsafe clinux_perf_tail(mapping.base)
    let head = unsafe clinux_perf_head(mapping.base)
    // What the kernel says is not more than the ring holds.
    let count = min(Int(truncatingIfNeeded: head &- tail), mapping.size)
    guard count > 0 else { return }
    copy(count, from: Int(truncatingIfNeeded: tail) & (mapping.size - 1))
    unsafe clinux_perf_set_tail(mapping.base, head)
    let taken = taken
    let records = taken.span
    try Self.forEachRecord(in: records.record, body)
  }

  private func copy(_ count: Int, from start: Int) {
    let size = mapping.size
    let first = min(count, size - start)
    taken.removeAll(keepingCapacity: true)
    // Both pieces lie inside the ring: [start, start + first) and [0, count - first).
    unsafe taken.append(
      contentsOf: UnsafeRawBufferPointer(start: mapping.base + PerfMapping.pageSize + start, count: first))
    unsafe taken.append(
      contentsOf: UnsafeRawBufferPointer(start: mapping.base + PerfMapping.pageSize, count: count - first))
  }

  /// Reads records of the kernel's layout (linux/perf_event.h: perf_event_header and what follows it).
  static func forEachRecord(in bytes: borrowing RawSpan, _ body: (borrowing Record) throws -> Void) throws {
    var offset = 0
    while let header = bytes.slice(offset: offset, count: 8) {
      let size = Int(header.load(UInt16.self, at: 6))
      guard size >= 8, let record = bytes.slice(offset: offset, count: size) else { return }
      offset += size
      switch (header.load(UInt32.self, at: 0), size) {
      // Header 8, pid 4, tid 4, time 8, cpu 4, reserved 4, raw size 4.
      case (PERF_RECORD_SAMPLE.rawValue, 36...):
        guard let raw = record.slice(offset: 36, count: Int(record.load(UInt32.self, at: 32))) else { continue }
        try body(
          .event(
            time: record.load(UInt64.self, at: 16), cpu: Int(record.load(UInt32.self, at: 24)),
            threadID: record.load(Int32.self, at: 12), raw))
      // Header 8, id 8, lost 8.
      case (PERF_RECORD_LOST.rawValue, 24...): try body(.lost(record.load(UInt64.self, at: 16)))
      // Header 8, pid 4, tid 4, name with NULs.
      case (PERF_RECORD_COMM.rawValue, 16...):
        let name = record.extracting(16..<size).copied.prefix { $0 != 0 }
        try body(.name(threadID: record.load(Int32.self, at: 12), String(decoding: name, as: UTF8.self)))
      default: continue
      }
    }
  }
}
