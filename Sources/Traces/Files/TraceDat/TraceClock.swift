/// How the times in a trace.dat become those shown: options TIME_SHIFT, TSC2NSEC, DATE and OFFSET, in this order
/// (trace-cmd 3.4, trace-input.c: timestamp_calc).
struct TraceClock: Sendable {
  /// Added last.
  var offset: UInt64 = 0
  var scale: TSCScale?
  /// For each CPU of a guest the difference to its host, in the order of their times.
  var shifts: [[TimeShift]] = []
  /// Whether shifts are interpolated: TRACECMD_TSYNC_FLAG_INTERPOLATE.
  var interpolatesShifts = false

  struct TSCScale: Sendable {
    var multiplier: UInt32
    var shift: UInt32
  }

  struct TimeShift: Sendable {
    var time: UInt64
    var offset: Int64
    var scaling: UInt64
    var fractionBits: UInt64
  }

  /// Whether times need no more than `offset` added.
  var isPlain: Bool { scale == nil && shifts.isEmpty }

  func convert(_ raw: UInt64, cpu: Int) -> UInt64 {
    var time = raw
    if cpu < shifts.count, !shifts[cpu].isEmpty { time = shift(time, shifts[cpu]) }
    if let scale { time = Self.scaled(time, scale) }
    return time &+ offset
  }

  /// trace-input.c: mul_u64_u32_shr.
  private static func scaled(_ time: UInt64, _ scale: TSCScale) -> UInt64 {
    let product = time.multipliedFullWidth(by: UInt64(scale.multiplier))
    guard scale.shift < 64 else { return product.high >> min(UInt64(scale.shift) - 64, 63) }
    return product.low >> UInt64(scale.shift) | (scale.shift == 0 ? 0 : product.high << (64 - UInt64(scale.shift)))
  }

  /// trace-input.c: timestamp_host_sync, timestamp_correction_calc.
  private func shift(_ time: UInt64, _ samples: [TimeShift]) -> UInt64 {
    guard samples.count > 1 else { return time &+ UInt64(bitPattern: samples[0].offset) }
    let after = samples.firstIndex { $0.time > time } ?? samples.count
    let index = min(max(after - 1, 0), samples.count - 2)
    let low = samples[index]
    let high = samples[index + 1]
    var correction = low.offset
    let delta = Int64(bitPattern: high.time &- low.time)
    if interpolatesShifts, delta > 0 {
      let rise = Int64(bitPattern: time &- low.time) &* (high.offset &- low.offset)
      correction = low.offset &+ (rise &+ delta / 2) / delta
    }
    return (time &* low.scaling) >> low.fractionBits &+ UInt64(bitPattern: correction)
  }
}
