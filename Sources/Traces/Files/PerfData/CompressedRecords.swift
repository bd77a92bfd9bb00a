import Files
import SystemPackage

/// Turns the compressed records of `perf record -z` into the plain ones that they hold.
///
/// They are pieces of one zstd stream, and a plain record may be cut between two of them (util/session.c:
/// perf_session__process_compressed_event). Since records must be sorted and looked at again, they go to a temporary
/// file, which is then mapped like any other.
enum CompressedRecords {
  private static let roomForRecords = 1 << 20

  /// Gives a file with the plain records; and the damage that ended the decompression early, if any.
  static func decompress(
    _ memory: MappedMemory, _ records: Range<Int>, _ byteOrder: ByteOrder
  ) throws(TraceFileError) -> (file: FileDescriptor, damage: TraceDamage?) {
    let file = try TemporaryFile.make()
    let decoder = try ZstdDecoder()
    let output: MappedMemory
    do { output = try MappedMemory.buffer(byteCount: roomForRecords) } catch {
      throw TraceFileError("no memory: \(error)")
    }
    let bytes = memory.bytes
    var pending = 0
    var offset = records.lowerBound
    while offset < records.upperBound {
      let record: PerfRecord
      do throws(TraceDamage.Problem) {
        record = try PerfRecord(bytes, at: offset, limit: records.upperBound, byteOrder)
      } catch {
        return (file, TraceDamage(problem: error, offset: offset, buffer: 0))
      }
      defer { memory.release(records.lowerBound..<offset) }
      offset = record.end
      var body = record.range.lowerBound + PerfRecord.headSize..<record.range.upperBound
      switch record.type {
      case .compressed:
        break
      case .compressed2:
        // The size comes first, for the data are padded.
        let size = body.count >= 8 ? bytes.load(UInt64.self, at: body.lowerBound, byteOrder) : .max
        guard size <= UInt64(body.count - 8) else {
          return (file, TraceDamage(problem: .compressedRecordUndecodable, offset: record.range.lowerBound, buffer: 0))
        }
        body = body.lowerBound + 8..<body.lowerBound + 8 + Int(size)
      default:
        try write(bytes.extracting(record.range.lowerBound..<record.end), to: file)
        continue
      }
      var isFull = false
      while !body.isEmpty || isFull {
        guard let step = try? decoder.decode(bytes.extracting(body), into: output, at: pending),
          step.consumed > 0 || step.produced > 0 || isFull
        else {
          return (file, TraceDamage(problem: .compressedRecordUndecodable, offset: record.range.lowerBound, buffer: 0))
        }
        body = body.lowerBound + step.consumed..<body.upperBound
        pending += step.produced
        isFull = pending == output.byteCount
        let whole = wholeRecords(output.bytes.extracting(0..<pending), byteOrder)
        // A record that fills all the room is none that the kernel makes.
        guard whole >= 0, whole > 0 || !isFull else {
          return (file, TraceDamage(problem: .recordTooShort, offset: record.range.lowerBound, buffer: 0))
        }
        guard whole > 0 else { continue }
        try TemporaryFile.write(output, whole, to: file)
        // What is left of a record moves to the front, to be joined by the rest of it.
        unsafe output.withUnsafeMutableBytes { buffer in
          unsafe buffer.copyBytes(from: buffer[whole..<pending])
        }
        pending -= whole
      }
    }
    return (file, pending == 0 ? nil : TraceDamage(problem: .recordCut, offset: offset, buffer: 0))
  }

  /// The number of bytes that whole records take; -1 if one is no record.
  private static func wholeRecords(_ bytes: RawSpan, _ byteOrder: ByteOrder) -> Int {
    var offset = 0
    while offset < bytes.byteCount {
      do throws(TraceDamage.Problem) {
        offset = try PerfRecord(bytes, at: offset, limit: bytes.byteCount, byteOrder).end
      } catch {
        return error == .recordCut ? offset : -1
      }
    }
    return offset
  }

  private static func write(_ bytes: RawSpan, to file: FileDescriptor) throws(TraceFileError) {
    do {
      _ = try unsafe bytes.withUnsafeBytes { try unsafe file.writeAll($0) }
    } catch {
      throw TraceFileError("cannot write a temporary file: \(error); set TMPDIR to a directory with more room")
    }
  }
}
