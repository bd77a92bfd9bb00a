import Files

/// What a perf.data says of the events that were lost.
///
/// The kernel counts each lost event twice (kernel/events/ring_buffer.c: __perf_output_begin, Linux 6.0): for the buffer,
/// in whose place the next LOST record tells it; and for the counter, whose total perf writes as LOST_SAMPLES at the end
/// (builtin-record.c: record__read_lost_samples, Linux 6.1). What was lost after a buffer's last record is only in the
/// totals, and older recordings have none.
struct PerfLosses: Equatable, Sendable {
  private(set) var inPlace: UInt64 = 0
  private var total: UInt64 = 0

  /// What no record tells the place of.
  var elsewhere: LostEvents? { total > inPlace ? LostEvents(cpu: nil, count: total - inPlace) : nil }

  mutating func add(_ loss: PerfLoss) {
    if loss.isTotal { total = total &+ loss.count } else { inPlace = inPlace &+ loss.count }
  }

  mutating func add(_ losses: PerfLosses) {
    total = total &+ losses.total
    inPlace = inPlace &+ losses.inPlace
  }

  /// To be called once `elsewhere` was told.
  mutating func settle() { total = inPlace }
}

/// What one record says of lost events.
struct PerfLoss {
  var count: UInt64
  var cpu: Int?
  /// Whether it is what a counter lost in the whole recording.
  var isTotal: Bool
}

extension PerfSamples {
  /// What is said by a LOST (u64 id, u64 count) or LOST_SAMPLES record (u64 count); nil if it is too short.
  func loss(_ bytes: RawSpan, _ record: PerfRecord) -> PerfLoss? {
    let countOffset = record.type == .lost ? 16 : 8
    guard record.range.count >= countOffset + 8 else { return nil }
    let start = record.range.lowerBound
    var cpu: Int?
    if trailer.trailerCPU.isPresent, record.range.count >= 16 + trailer.trailerSize {
      cpu = Int(bytes.load(UInt32.self, at: record.range.upperBound - trailer.trailerCPU.offset, byteOrder))
    }
    // LOST_SAMPLES of the kernel itself have a time; perf's have none.
    let isTotal = record.type == .lostSamples && time(bytes, record) == nil
    // What a filter left out was not lost (tools/lib/perf/include/perf/event.h, Linux 6.6: LOST_SAMPLES_BPF).
    let isFiltered = isTotal && bytes.load(UInt16.self, at: start + 4, byteOrder) >> 15 != 0
    let count = bytes.load(UInt64.self, at: start + countOffset, byteOrder)
    return PerfLoss(count: isFiltered ? 0 : count, cpu: cpu, isTotal: isTotal)
  }
}
