import Files

/// The bytes of a kdump by their offsets, whether the file has them in order or in makedumpfile's flattened form.
///
/// That form is for output that cannot seek: records that each say where their bytes belong. QEMU writes it (dump/dump.c:
/// write_start_flat_header, write_buffer; 7.2), as does makedumpfile -F. Finding the records takes one look at the head of
/// each, which QEMU makes of up to 16 KiB.
struct DumpFile: Sendable {
  let file: MappedMemory
  /// Which records have the bytes; nil if they are in order.
  private let records: FileRuns?
  /// Where the last byte ends.
  let byteCount: UInt64
  /// What is wrong with the flattened form.
  let problem: FileError?

  static let flattenedMagic = Array("makedumpfile".utf8) + [0, 0, 0, 0]
  /// The size of the head of a flattened file (makedumpfile.h: MAX_SIZE_MDF_HEADER).
  private static let headSize = 4096

  var isFlattened: Bool { records != nil }

  init(_ file: MappedMemory) throws(FileError) {
    self.file = file
    guard file.bytes.hasPrefix(Self.flattenedMagic) else {
      records = nil
      byteCount = UInt64(file.byteCount)
      problem = nil
      return
    }
    var reader = ByteReader(file.bytes, byteOrder: .bigEndian, at: 16)
    let type = try reader.integer(UInt64.self, "the type of a flattened dump")
    let version = try reader.integer(UInt64.self, "the version of a flattened dump")
    guard (type, version) == (1, 1) else {
      throw FileError("a flattened dump of type \(type), version \(version), and not 1, 1", at: 16)
    }
    var index = RecordIndex()
    problem = index.read(file, from: Self.headSize)
    // What is written later replaces what was before: makedumpfile so completes its headers.
    let runs = FileRuns(index.runs.reversed())
    byteCount = runs.runs.last?.end ?? 0
    records = runs
  }

  /// Gives the bytes to `body`, in place if they lie together. Bytes that no record has were never written and are zero,
  /// as in the file that `makedumpfile -R` makes.
  ///
  /// - Parameters:
  ///   - what: names them in the error if the file ends before them.
  ///   - areWritten: whether all of them must be in records, as all but the heads and the descriptors are: what a damaged
  ///     file lost is not zero.
  func withBytes<Result>(
    at offset: UInt64, count: Int, _ what: String, areWritten: Bool = false,
    _ body: (RawSpan) throws(FileError) -> Result
  ) throws(FileError) -> Result {
    // The end may be anywhere if the records say so; but no part of the dump is larger than the file.
    guard count >= 0, count <= file.byteCount, offset <= byteCount, UInt64(count) <= byteCount - offset else {
      throw FileError("\(what) lies beyond the end of the file: it is cut off; copy it again", at: file.byteCount)
    }
    guard let records else { return try body(file.bytes.extracting(Int(offset)..<Int(offset) + count)) }
    if let run = records.run(at: offset), UInt64(count) <= run.end - offset {
      let start = run.offset + Int(offset - run.address)
      return try body(file.bytes.extracting(start..<start + count))
    }
    let (copy, written) = copy(at: offset, count: count, from: records)
    guard written == count || !areWritten else {
      throw FileError("the flattened dump lacks \(what): copy it again, or dump the guest again")
    }
    // Safe: a byte has no padding.
    return try body(unsafe copy.span.bytes)
  }

  /// - Returns: The bytes, and how many of them records have.
  private func copy(at offset: UInt64, count: Int, from records: FileRuns) -> (bytes: [UInt8], written: Int) {
    var copy = [UInt8](repeating: 0, count: count)
    var written = 0
    let end = offset + UInt64(count)
    var span = copy.mutableSpan
    for run in records.runs(from: offset, to: end) {
      let lower = max(run.address, offset)
      let start = run.offset + Int(lower - run.address)
      let part = Int(min(run.end, end) - lower)
      span.replace(at: Int(lower - offset), with: file.bytes.extracting(start..<start + part))
      written += part
    }
    return (copy, written)
  }

  /// Where in the file itself a byte is.
  func place(of offset: UInt64) -> Int? {
    guard let records else { return Int(exactly: offset) }
    return records.run(at: offset).map { $0.offset + Int(offset - $0.address) }
  }
}

/// The records of a flattened dump, in the order of the file.
private struct RecordIndex {
  private(set) var runs: [FileRun] = []

  /// So much of the file is looked at before the memory for it is given back.
  private static let pieceSize = 64 << 20
  private static let headSize = 16

  /// - Returns: What was wrong, if the end is not reached.
  mutating func read(_ file: MappedMemory, from start: Int) -> FileError? {
    var next = start
    var released = 0
    while let head = file.bytes.slice(offset: next, count: Self.headSize) {
      let offset = head.load(Int64.self, at: 0, .bigEndian)
      let size = head.load(Int64.self, at: 8, .bigEndian)
      // The end, END_FLAG_FLAT_HEADER.
      if offset == -1, size == -1 { return nil }
      guard offset >= 0, size >= 0, let count = Int(exactly: size), offset <= Int64.max - size else {
        return FileError("a record of a flattened dump has impossible values; copy the dump again", at: next)
      }
      next += Self.headSize
      let available = min(count, file.byteCount - next)
      if available > 0 { runs.append(FileRun(address: UInt64(offset), count: UInt64(available), offset: next)) }
      next += available
      if available < count { break }
      if next - released > Self.pieceSize {
        file.release(released..<next)
        released = next
      }
    }
    return FileError("the flattened dump has no end: it is cut off; copy it again", at: file.byteCount)
  }
}
