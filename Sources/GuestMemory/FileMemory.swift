public import Files
public import X86

/// Physical memory whose bytes lie, as they were, in mapped files: an ELF core, raw images.
///
/// Reading looks up the run that holds the address and copies; nothing is allocated.
public struct FileMemory: PhysicalMemory, Sendable {
  /// The first address that no x86 processor has: MAXPHYADDR is at most 52 (SDM vol. 3, 4.1.4).
  static let addressLimit: UInt64 = 1 << 52

  @usableFromInline let files: [MappedMemory]
  @usableFromInline let runs: FileRuns

  /// The bytes of each run must lie in its file, and its addresses below `addressLimit`.
  init(_ files: [MappedMemory], _ runs: FileRuns) {
    self.files = files
    self.runs = runs
  }

  /// The addresses whose bytes are there, ascending, with a gap between each two.
  public var ranges: [Range<PhysicalAddress>] {
    var ranges: [Range<PhysicalAddress>] = []
    for run in runs.runs {
      var range = PhysicalAddress(run.address)..<PhysicalAddress(run.end)
      if let last = ranges.last, last.upperBound == range.lowerBound {
        range = ranges.removeLast().lowerBound..<range.upperBound
      }
      ranges.append(range)
    }
    return ranges
  }

  /// Bytes that no run holds may exist in the guest all the same, so they are `notCaptured`.
  @inlinable
  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    let count = buffer.count
    guard count > 0 else { return }
    guard let run = runs.run(at: address.rawValue) else {
      throw UnavailableMemory(address: address, reason: .notCaptured)
    }
    let skipped = address.rawValue &- run.address
    guard UInt64(count) <= run.count &- skipped else {
      try readAcrossRuns(address, into: &buffer)
      return
    }
    copy(count, at: Int(skipped), of: run, into: &buffer, at: 0)
  }

  @inlinable func copy(
    _ count: Int, at skipped: Int, of run: FileRun, into buffer: inout MutableSpan<UInt8>, at place: Int
  ) {
    let start = run.offset &+ skipped
    let file = files[run.file]
    buffer.replace(at: place, with: file.bytes.extracting(start..<(start &+ count)))
  }

  @usableFromInline func readAcrossRuns(
    _ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>
  ) throws(UnavailableMemory) {
    var done = 0
    while done < buffer.count {
      // Cannot overflow: the address before it is in a run, and all of those are below the limit.
      let next = address.rawValue &+ UInt64(done)
      guard let run = runs.run(at: next) else {
        throw UnavailableMemory(address: PhysicalAddress(next), reason: .notCaptured)
      }
      let skipped = next - run.address
      let count = Int(min(UInt64(buffer.count - done), run.count - skipped))
      copy(count, at: Int(skipped), of: run, into: &buffer, at: done)
      done += count
    }
  }
}
