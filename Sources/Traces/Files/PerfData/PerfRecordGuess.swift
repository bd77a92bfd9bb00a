import Files

extension PerfDataFile {
  /// How many records in a row must look like some.
  private static let proof = 16

  /// A place in a range at which records seem to begin. The range must begin a multiple of 8 behind the first record.
  func guessedRecord(in range: Range<Int>) -> Int? {
    let byteOrder = context.machine.byteOrder
    // A record has at most 64 KiB, and perf's begin at multiples of 8.
    for start in stride(from: range.lowerBound, to: min(range.lowerBound + 1 << 16, range.upperBound), by: 8) {
      var offset = start
      var count = 0
      while count < Self.proof, offset < records.upperBound,
        let record = try? PerfRecord(memory.bytes, at: offset, limit: records.upperBound, byteOrder),
        record.range.count & 7 == 0, record.type.isPlausible
      {
        offset = record.end
        count += 1
      }
      if count == Self.proof || (count > 0 && offset == records.upperBound) { return start }
    }
    return nil
  }
}

extension PerfRecord.Kind {
  /// Whether the kernel or perf has records of this type: PERF_RECORD_MMAP to _AUX_OUTPUT_HW_ID and beyond, and from
  /// PERF_RECORD_USER_TYPE_START on (Linux 6.18).
  fileprivate var isPlausible: Bool { (1...32).contains(rawValue) || (64...96).contains(rawValue) }
}
