/// Durations, counted in classes about 1.5 % wide, so that quantiles take constant memory.
struct DurationStatistics: Joinable {
  private(set) var count: UInt64 = 0
  /// In nanoseconds, as all durations here.
  private(set) var total: UInt64 = 0
  private(set) var maximum: UInt64 = 0
  private var classes: [UInt32] = []

  /// The number of classes for each doubling.
  private static let classBits: UInt64 = 6

  @inline(__always)
  mutating func add(_ duration: UInt64) {
    count &+= 1
    total = total &+ duration
    if duration > maximum { maximum = duration }
    let index = Self.index(of: duration)
    if index >= classes.count { classes.append(contentsOf: [UInt32](repeating: 0, count: index + 1 - classes.count)) }
    classes[index] &+= 1
  }

  mutating func join(_ next: DurationStatistics) {
    count &+= next.count
    total = total &+ next.total
    maximum = max(maximum, next.maximum)
    if classes.count < next.classes.count {
      classes += [UInt32](repeating: 0, count: next.classes.count - classes.count)
    }
    for index in next.classes.indices { classes[index] &+= next.classes[index] }
  }

  var mean: UInt64 { count == 0 ? 0 : total / count }

  /// The duration that this part of all does not exceed: the middle of its class.
  func quantile(_ part: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let rank = UInt64((Double(count) * part).rounded(.up))
    // The largest is known exactly.
    guard rank < count else { return maximum }
    var below: UInt64 = 0
    for index in classes.indices {
      below += UInt64(classes[index])
      if below >= rank { return min(Self.middle(of: index), maximum) }
    }
    return maximum
  }

  /// Durations up to 64 have a class each; each later doubling has 64 classes.
  private static func index(of duration: UInt64) -> Int {
    guard duration >> classBits != 0 else { return Int(duration) }
    let shift = UInt64(63 - duration.leadingZeroBitCount) - classBits
    return Int((shift + 1) << classBits | (duration >> shift & (1 << classBits - 1)))
  }

  private static func middle(of index: Int) -> UInt64 {
    let group = UInt64(index) >> classBits
    guard group > 0 else { return UInt64(index) }
    let shift = group - 1
    let low = (1 << classBits | UInt64(index) & (1 << classBits - 1)) << shift
    return low + (1 << shift) / 2
  }
}
