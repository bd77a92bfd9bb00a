import CLinux
import Files
import Glibc
import SystemPackage

/// What was recorded on one CPU of an instance of tracefs: whole pages of the ring buffer, kept in a file without a name.
final class RecordedCPU {
  static let pageSize = Int(getpagesize())
  let number: Int
  private let source: OwnedDescriptor
  private let spool: OwnedDescriptor
  /// Pages go through it from the kernel's buffer to the file without being copied; nil where that is not possible.
  private var pipe: (reading: OwnedDescriptor, writing: OwnedDescriptor)?
  /// How many bytes were kept.
  private(set) var byteCount: UInt64 = 0

  init(_ number: Int, in instance: FilePath) throws(ProbeRefusal) {
    self.number = number
    let path = instance.appending("per_cpu/cpu\(number)/trace_pipe_raw")
    do {
      source = try OwnedDescriptor { try .open(path, .readOnly, options: [.nonBlocking, .closeOnExec]) }
      spool = OwnedDescriptor(try TemporaryFile.make())
    } catch {
      throw .system(doing: "opening \(path)", errno: (error as? Errno ?? .ioError).rawValue)
    }
    pipe = try? makePipe()
  }

  /// Takes whole pages, as long as there are some; a CPU that writes faster than this reads would keep it here for ever.
  func drain() throws(ProbeRefusal) {
    guard let pipe else { return try drainByReading() }
    for _ in 0..<1024 {
      let count = clinux_splice(source.descriptor.rawValue, pipe.writing.descriptor.rawValue, UInt(16 * Self.pageSize))
      guard count > 0 else {
        if count < 0, errno != EAGAIN { self.pipe = nil }
        return
      }
      try keep(count, from: pipe.reading)
    }
  }

  private func keep(_ count: Int, from pipe: OwnedDescriptor) throws(ProbeRefusal) {
    var left = count
    while left > 0 {
      let moved = clinux_splice(pipe.descriptor.rawValue, spool.descriptor.rawValue, UInt(left))
      guard moved > 0 else { throw .system(doing: "keeping what was recorded", errno: errno) }
      left -= moved
      byteCount &+= UInt64(moved)
    }
  }

  /// Takes all there is, also of a page that is not full.
  func drainByReading() throws(ProbeRefusal) { try keep(arrivedPages()) }

  /// What has been recorded and was not taken yet, also of a page that is not full.
  func arrivedPages() -> [UInt8] {
    var arrived: [UInt8] = []
    var page = [UInt8](repeating: 0, count: Self.pageSize)
    // A CPU that writes faster than this reads would keep it here for ever.
    for _ in 0..<16384 {
      guard case .bytes(let bytes) = source.descriptor.readArrived(into: &page), bytes.count == Self.pageSize else {
        break
      }
      arrived += bytes
    }
    return arrived
  }

  /// Adds pages to what is kept.
  func keep(_ pages: [UInt8]) throws(ProbeRefusal) {
    do { _ = try spool.descriptor.writeAll(pages) } catch {
      throw .system(doing: "keeping what was recorded", errno: (error as? Errno ?? .ioError).rawValue)
    }
    byteCount &+= UInt64(pages.count)
  }

  func forEachPiece(_ body: ([UInt8]) throws -> Void) throws {
    try spool.descriptor.seek(offset: 0, from: .start)
    var piece = [UInt8](repeating: 0, count: Self.pageSize * 64)
    while case .bytes(let bytes) = spool.descriptor.readArrived(into: &piece) { try body(Array(bytes)) }
  }
}
