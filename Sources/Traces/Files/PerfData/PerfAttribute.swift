import Files

/// One event that perf was told to record: struct perf_event_attr and the ids of its counters
/// (include/uapi/linux/perf_event.h, Linux 6.1).
struct PerfAttribute: Sendable {
  var type: UInt32
  var config: UInt64
  var samples: SampleLayout
  var ids: [UInt64] = []

  /// PERF_TYPE_TRACEPOINT.
  var isTracepoint: Bool { type == 2 }

  /// The size of the first version; what a shorter one lacks is 0.
  private static let knownSize = 64

  /// Reads an attribute, whose own size field says how much of it there is.
  init(_ reader: inout ByteReader) throws(TraceFileError) {
    let start = reader
    type = try reader.integer(UInt32.self, "an attribute's type")
    var size = Int(try reader.integer(UInt32.self, "an attribute's size"))
    // PERF_ATTR_SIZE_VER0 where the field is 0 (util/header.c: read_attr).
    if size == 0 { size = Self.knownSize }
    guard size >= 48 else { throw start.error("an attribute of \(size) bytes is too short") }
    config = try reader.integer(UInt64.self, "an attribute's config")
    try reader.skip(8, "an attribute's period")
    let sampleType = try reader.integer(UInt64.self, "an attribute's sample type")
    let readFormat = try reader.integer(UInt64.self, "an attribute's read format")
    let flags = try reader.integer(UInt64.self, "an attribute's flags")
    try reader.skip(size - 48, "an attribute")
    samples = SampleLayout(
      sampleType: sampleType, readFormat: readFormat,
      // The flags are bit fields, which the other byte order has the other way round.
      hasTrailer: (reader.byteOrder == .littleEndian ? flags >> 18 : flags >> 45) & 1 != 0)
  }
}

/// Where the fields of a sample lie (util/evsel.c: evsel__parse_sample, Linux 6.1). Offsets count from the record's
/// start; what is not recorded has none.
///
/// Kept small, for it is looked at for every sample.
struct SampleLayout: Hashable, Sendable {
  /// An offset in a record, or none.
  struct Place: Hashable, Sendable {
    fileprivate var stored: Int16 = -1

    static let absent = Place()

    var isPresent: Bool { stored >= 0 }
    /// To be used only if the place is present.
    var offset: Int { Int(stored) }
  }

  private(set) var identifier = Place.absent
  private(set) var threadID = Place.absent
  private(set) var time = Place.absent
  private(set) var id = Place.absent
  private(set) var cpu = Place.absent
  private var end: Int16 = 8
  let hasRaw: Bool
  private let hasCallchain: Bool
  private let hasValues: Bool
  /// What the counters' values, whose number varies, consist of.
  private let readFormat: UInt8

  /// The fields at the end of records that are no samples, counted from the record's end.
  private(set) var trailerTime = Place.absent
  private(set) var trailerCPU = Place.absent
  private var trailer: Int16 = 0

  /// The end of the fields that every sample has.
  var fixedEnd: Int { Int(end) }
  var trailerSize: Int { Int(trailer) }

  init(sampleType: UInt64, readFormat: UInt64, hasTrailer: Bool) {
    func has(_ bit: Int) -> Bool { sampleType >> UInt64(bit) & 1 != 0 }
    var next: Int16 = 8
    func place(_ bit: Int, _ distance: Int16 = 0) -> Place {
      guard has(bit) else { return .absent }
      next += 8
      return Place(stored: next - 8 + distance)
    }
    identifier = place(16)
    _ = place(0)
    threadID = place(1, 4)
    time = place(2)
    _ = place(3)
    id = place(6)
    _ = place(9)
    cpu = place(7)
    _ = place(8)
    end = next
    hasValues = has(4)
    self.readFormat = UInt8(truncatingIfNeeded: readFormat)
    hasCallchain = has(5)
    hasRaw = has(10)

    guard hasTrailer else { return }
    // TID, TIME, ID, STREAM_ID, CPU, IDENTIFIER.
    let bits = [1, 2, 6, 9, 7, 16].filter(has)
    let size = Int16(8 * bits.count)
    trailer = size
    func fromEnd(_ bit: Int) -> Place {
      bits.firstIndex(of: bit).map { Place(stored: size - 8 * Int16($0)) } ?? .absent
    }
    trailerTime = fromEnd(2)
    trailerCPU = fromEnd(7)
  }

  /// Where the raw data's u32 size lies; nil if the sample ends before.
  @inline(__always)
  func rawOffset(in bytes: RawSpan, record: Range<Int>, _ byteOrder: ByteOrder) -> Int? {
    var offset = record.lowerBound &+ fixedEnd
    if !hasValues, !hasCallchain { return offset &+ 4 <= record.upperBound ? offset : nil }
    func word(_ at: Int) -> UInt64? {
      at &+ 8 <= record.upperBound ? bytes.load(UInt64.self, at: at, byteOrder) : nil
    }
    if hasValues {
      func has(_ bit: Int) -> Int { Int(readFormat >> UInt8(bit) & 1) }
      // value, and id and lost, for each; time_enabled and time_running once (PERF_FORMAT_*).
      let once = has(0) + has(1)
      let each = 1 + has(2) + has(4)
      var words = once + each
      if has(3) == 1 {
        guard let count = word(offset), count <= 1 << 13 else { return nil }
        words = 1 + once + Int(count) * each
      }
      offset += 8 * words
    }
    if hasCallchain {
      guard let count = word(offset), count <= 1 << 13 else { return nil }
      offset += 8 + 8 * Int(count)
    }
    return offset + 4 <= record.upperBound ? offset : nil
  }
}
