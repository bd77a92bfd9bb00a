import Files
public import SystemPackage
public import X86

/// Writes physical memory as an ELF core, in the form of QEMU's `dump-guest-memory` without its notes: one PT_LOAD for each run of memory.
///
/// Pages of zeros become holes in the file and take no room on the disk.
public struct ELFCoreWriter: ~Copyable {
  /// How much is read and written at once, in bytes.
  private static let pieceSize = 1 << 16
  /// More need an extension of the format (PN_XNUM).
  public static let mostRuns = 0xFFFE

  private let file: FileDescriptor
  private var runs: [Run] = []
  private var end = pieceSize

  private struct Run {
    var address: UInt64
    var offset: Int
    var count: Int
  }

  /// - Parameter file: An empty file, open for writing, which stays the caller's to close.
  public init(_ file: FileDescriptor) { self.file = file }

  /// Adds what `memory` has of `count` bytes from `address` on, both multiples of 4096. Pages that it does not have are
  /// left out.
  ///
  /// - Throws: What the file system says.
  public mutating func append(
    _ address: PhysicalAddress, count: UInt64, of memory: some PhysicalMemory
  ) throws(Errno) {
    var piece = [UInt8](repeating: 0, count: Self.pieceSize)
    var done: UInt64 = 0
    while done < count {
      let size = min(count - done, UInt64(Self.pieceSize) - (address.rawValue &+ done) % UInt64(Self.pieceSize))
      try append(PhysicalAddress(address.rawValue &+ done), Int(size), of: memory, through: &piece)
      done += size
    }
  }

  private mutating func append(
    _ address: PhysicalAddress, _ count: Int, of memory: some PhysicalMemory, through piece: inout [UInt8]
  ) throws(Errno) {
    if Self.read(address, count, of: memory, into: &piece) {
      return try write(piece[..<count], at: address.rawValue)
    }
    guard count > SparseMemory.pageSize else { return }
    for offset in stride(from: 0, to: count, by: SparseMemory.pageSize) {
      let page = PhysicalAddress(address.rawValue &+ UInt64(offset))
      guard Self.read(page, SparseMemory.pageSize, of: memory, into: &piece) else { continue }
      try write(piece[..<SparseMemory.pageSize], at: page.rawValue)
    }
  }

  private static func read(
    _ address: PhysicalAddress, _ count: Int, of memory: some PhysicalMemory, into piece: inout [UInt8]
  ) -> Bool {
    if piece.count != count { piece = [UInt8](repeating: 0, count: count) }
    var span = piece.mutableSpan
    return (try? memory.read(address, into: &span)) != nil
  }

  private mutating func write(_ bytes: ArraySlice<UInt8>, at address: UInt64) throws(Errno) {
    if let last = runs.indices.last, runs[last].address &+ UInt64(runs[last].count) == address {
      runs[last].count += bytes.count
    } else {
      guard runs.count < Self.mostRuns else { throw .fileTooLarge }
      runs.append(Run(address: address, offset: end, count: bytes.count))
    }
    if bytes.contains(where: { $0 != 0 }) { try write(bytes, offset: end) }
    end += bytes.count
  }

  private func write(_ bytes: ArraySlice<UInt8>, offset: Int) throws(Errno) {
    do { _ = try file.writeAll(toAbsoluteOffset: Int64(offset), bytes) } catch { throw error as? Errno ?? .ioError }
  }

  /// Writes what says where everything is; without it the file cannot be read.
  ///
  /// - Returns: How many bytes of memory there are.
  public consuming func finish() throws(Errno) -> Int {
    var headers = CoreBytes()
    for run in runs { headers.loadSegment(run.address, offset: run.offset, count: run.count) }
    try write(headers.bytes[...], offset: end)
    var head = CoreBytes()
    head.fileHeader(segmentsOffset: end, segmentCount: runs.count)
    try write(head.bytes[...], offset: 0)
    return runs.reduce(0) { $0 + $1.count }
  }
}

/// The parts of an ELF64 file (ELF-64 Object File Format, version 1.5, figures 2 and 6).
private struct CoreBytes {
  var bytes: [UInt8] = []

  private mutating func integer<T: FixedWidthInteger>(_ value: T) {
    for shift in stride(from: 0, to: T.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> T(shift))) }
  }

  mutating func fileHeader(segmentsOffset: Int, segmentCount: Int) {
    // ELFCLASS64, ELFDATA2LSB, EV_CURRENT.
    bytes += ELFHeader.magic + [2, 1, 1] + [UInt8](repeating: 0, count: 9)
    // ET_CORE, EM_X86_64, EV_CURRENT.
    integer(UInt16(4))
    integer(UInt16(62))
    integer(UInt32(1))
    integer(UInt64(0))
    integer(UInt64(segmentsOffset))
    integer(UInt64(0))
    integer(UInt32(0))
    for value in [64, 56, segmentCount, 64, 0, 0] { integer(UInt16(truncatingIfNeeded: value)) }
  }

  mutating func loadSegment(_ address: UInt64, offset: Int, count: Int) {
    // PT_LOAD; no flags, as QEMU has it.
    integer(UInt32(1))
    integer(UInt32(0))
    integer(UInt64(offset))
    integer(UInt64(0))
    integer(address)
    integer(UInt64(count))
    integer(UInt64(count))
    integer(UInt64(0))
  }
}
