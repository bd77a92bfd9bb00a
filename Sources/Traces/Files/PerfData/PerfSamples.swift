import Files

/// Finds the fields of a perf.data's records, whichever attribute they belong to.
struct PerfSamples: Sendable {
  private let layouts: [SampleLayout]
  private let eventOfAttribute: [Int32]
  private let attributeOfID: [UInt64: Int]
  /// The layout of all samples, where they share one.
  let common: SampleLayout?
  /// Where every sample has its time, and where other records have theirs, from their end; -1 for nowhere.
  private let timeOffset: Int
  private let trailerTime: Int
  private let shortestWithTrailer: Int
  /// Where every sample has its id; nil if that is not needed or not known.
  private let idOffset: Int?
  let byteOrder: ByteOrder

  init(_ file: PerfDataFile) {
    let attributes = file.attributes
    layouts = attributes.map(\.samples)
    eventOfAttribute = attributes.indices.map { file.eventOfAttribute[$0] ?? -1 }
    byteOrder = file.context.machine.byteOrder
    var attributeOfID: [UInt64: Int] = [:]
    for index in attributes.indices { for id in attributes[index].ids { attributeOfID[id] = index } }
    self.attributeOfID = attributeOfID
    let trailer = layouts[0]
    trailerTime = trailer.trailerTime.isPresent ? trailer.trailerTime.offset : -1
    shortestWithTrailer = PerfRecord.headSize + trailer.trailerSize
    common = Set(layouts).count == 1 ? layouts[0] : nil
    // Where it is not common to all, it is looked up.
    timeOffset = common.map { $0.time.isPresent ? $0.time.offset : -1 } ?? -1
    let needsAttribute = attributes.count > 1 && (common == nil || !file.eventOfAttribute.isEmpty)
    idOffset =
      needsAttribute
      ? layouts.lazy.map { $0.identifier.isPresent ? $0.identifier : $0.id }.first { $0.isPresent }?.offset : nil
  }

  /// The layout of non-samples' trailers, which all attributes share.
  var trailer: SampleLayout { layouts[0] }

  /// The attribute that a sample belongs to; nil if it is none of the file's.
  private func attribute(_ bytes: RawSpan, _ record: Range<Int>) -> Int? {
    guard let idOffset else { return 0 }
    guard idOffset &+ 8 <= record.count else { return nil }
    return attributeOfID[bytes.load(UInt64.self, at: record.lowerBound &+ idOffset, byteOrder)]
  }

  /// The layout of a sample, and the event that its attribute is if it is no tracepoint.
  @inline(__always)
  func layout(_ bytes: RawSpan, _ record: Range<Int>) -> (layout: SampleLayout, event: Int32)? {
    if let common, idOffset == nil { return (common, eventOfAttribute[0]) }
    guard let index = attribute(bytes, record) else { return nil }
    return (layouts[index], eventOfAttribute[index])
  }

  /// The time of a record; nil if it has none.
  @inline(__always)
  func time(_ bytes: RawSpan, _ record: PerfRecord) -> UInt64? {
    if record.type == .sample {
      var offset = timeOffset
      if common == nil, let place = layout(bytes, record.range)?.layout.time, place.isPresent { offset = place.offset }
      guard offset >= 0, offset &+ 8 <= record.range.count else { return nil }
      return bytes.load(UInt64.self, at: record.range.lowerBound &+ offset, byteOrder)
    }
    guard record.type.rawValue < 64, trailerTime >= 0, record.range.count >= shortestWithTrailer else { return nil }
    let time = bytes.load(UInt64.self, at: record.range.upperBound &- trailerTime, byteOrder)
    // What perf makes up for what was there before the recording has no time.
    return time == 0 ? nil : time
  }

  /// What a sample tells of its event.
  struct Content {
    var cpu: Int
    /// -1 if nothing tells.
    var threadID: Int32
    /// The event that its attribute is; -1 for a tracepoint, whose record tells.
    var event: Int32
    var payload: Range<Int>
  }

  enum Reading {
    case sample(Content)
    case damaged(TraceDamage.Problem, cpu: Int?)
  }

  /// Finds a sample's parts.
  ///
  /// - Parameter threadIDOffset: where a tracepoint's record has `common_pid`.
  @inline(__always)
  func content(_ bytes: RawSpan, _ record: Range<Int>, threadIDOffset: Int) -> Reading {
    let start = record.lowerBound
    guard let (layout, event) = layout(bytes, record) else { return .damaged(.sampleUnknown, cpu: nil) }
    guard layout.fixedEnd <= record.count else { return .damaged(.sampleCut, cpu: nil) }
    var content = Content(
      cpu: layout.cpu.isPresent ? Int(bytes.load(UInt32.self, at: start &+ layout.cpu.offset, byteOrder)) : 0,
      threadID: -1, event: event, payload: start..<start)
    if layout.threadID.isPresent {
      content.threadID = bytes.load(Int32.self, at: start &+ layout.threadID.offset, byteOrder)
    }
    guard layout.hasRaw else { return .sample(content) }
    guard let rawOffset = layout.rawOffset(in: bytes, record: record, byteOrder),
      case let count = Int(bytes.load(UInt32.self, at: rawOffset, byteOrder)),
      count <= record.upperBound &- rawOffset &- 4
    else { return .damaged(.sampleCut, cpu: content.cpu) }
    let payload = (rawOffset &+ 4)..<(rawOffset &+ 4 &+ count)
    content.payload = payload
    if !layout.threadID.isPresent, count >= threadIDOffset &+ 4 {
      content.threadID = bytes.load(Int32.self, at: payload.lowerBound &+ threadIDOffset, byteOrder)
    }
    return .sample(content)
  }
}
