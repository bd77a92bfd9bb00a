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

  @inlinable
  public func loadUInt64(at address: PhysicalAddress) throws(UnavailableMemory) -> UInt64 {
    UInt64(littleEndian: try load(UInt64.self, at: address))
  }

  @inlinable
  public func loadUInt32(at address: PhysicalAddress) throws(UnavailableMemory) -> UInt32 {
    UInt32(littleEndian: try load(UInt32.self, at: address))
  }

  @inlinable func load<Word: FixedWidthInteger & BitwiseCopyable>(
    _ type: Word.Type, at address: PhysicalAddress
  ) throws(UnavailableMemory) -> Word {
    guard let run = runs.run(at: address.rawValue) else {
      throw UnavailableMemory(address: address, reason: .notCaptured)
    }
    let skipped = address.rawValue &- run.address
    guard UInt64(MemoryLayout<Word>.size) <= run.count &- skipped else {
      return try loadAcrossRuns(type, at: address)
    }
    // Safe: any bytes are an integer, and the load is bounds-checked.
    let file = files[run.file]
    return unsafe file.bytes.unsafeLoadUnaligned(fromByteOffset: run.offset &+ Int(skipped), as: type)
  }

  @usableFromInline func loadAcrossRuns<Word: FixedWidthInteger & BitwiseCopyable>(
    _ type: Word.Type, at address: PhysicalAddress
  ) throws(UnavailableMemory) -> Word {
    var bytes = [UInt8](repeating: 0, count: MemoryLayout<Word>.size)
    var span = bytes.mutableSpan
    try readAcrossRuns(address, into: &span)
    return bytes.reversed().reduce(0) { $0 << 8 | Word($1) }.littleEndian
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
