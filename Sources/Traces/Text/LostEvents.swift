/// A hole in a trace: events that happened and were not kept.
public struct LostEvents: Hashable, Sendable {
  /// The host CPU whose buffer lost them; nil where the trace does not say, or for all of them together.
  public var cpu: Int?
  /// How many; nil where the tracer only knows that there were some.
  public var count: UInt64?

  public init(cpu: Int?, count: UInt64?) {
    self.cpu = cpu
    self.count = count
  }
}
