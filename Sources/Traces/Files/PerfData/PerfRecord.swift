import Files

/// A record of a perf.data: u32 type, u16 misc, u16 size, and what the type says.
struct PerfRecord {
  static let headSize = 8

  var type: Kind
  /// The record itself.
  var range: Range<Int>
  /// Where the next one begins: after the record, and the data that follow some records without being part of them.
  var end: Int

  /// include/uapi/linux/perf_event.h: enum perf_event_type; tools/lib/perf/include/perf/event.h: enum
  /// perf_user_event_type (Linux 6.1).
  struct Kind: RawRepresentable, Hashable {
    var rawValue: UInt32

    static let lost = Kind(rawValue: 2)
    static let comm = Kind(rawValue: 3)
    static let fork = Kind(rawValue: 7)
    static let sample = Kind(rawValue: 9)
    static let lostSamples = Kind(rawValue: 13)
    static let headerAttribute = Kind(rawValue: 64)
    static let tracingData = Kind(rawValue: 66)
    static let finishedRound = Kind(rawValue: 68)
    static let auxiliaryTrace = Kind(rawValue: 71)
    static let headerFeature = Kind(rawValue: 80)
    static let compressed = Kind(rawValue: 81)
    static let compressed2 = Kind(rawValue: 83)

    /// Whether it is of the records that are read in the order of their times.
    @inline(__always)
    var isOrdered: Bool {
      switch self {
      case .sample, .comm, .fork, .lost, .lostSamples: true
      default: false
      }
    }
  }

  /// Reads the head at `offset`; `limit` is where the records end.
  @inline(__always)
  init(_ bytes: RawSpan, at offset: Int, limit: Int, _ byteOrder: ByteOrder) throws(TraceDamage.Problem) {
    guard limit &- offset >= Self.headSize else { throw .recordCut }
    type = Kind(rawValue: bytes.load(UInt32.self, at: offset, byteOrder))
    let size = Int(bytes.load(UInt16.self, at: offset &+ 6, byteOrder))
    guard size >= Self.headSize else { throw .recordTooShort }
    guard size <= limit &- offset else { throw .recordCut }
    range = offset..<(offset &+ size)
    end = offset &+ size
    if type == .auxiliaryTrace || type == .tracingData {
      // The data's size is the body's first word: 64 bits of auxiliary data, 32 of tracing data, padded to 8.
      let isWide = type == .auxiliaryTrace
      guard size >= (isWide ? 16 : 12) else { throw .recordTooShort }
      let following =
        isWide
        ? bytes.load(UInt64.self, at: offset &+ 8, byteOrder)
        : (UInt64(bytes.load(UInt32.self, at: offset &+ 8, byteOrder)) + 7) & ~7
      guard following <= UInt64(limit &- end) else { throw .recordCut }
      end = end &+ Int(following)
    }
  }
}
