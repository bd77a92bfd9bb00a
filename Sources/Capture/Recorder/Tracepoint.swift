/// A tracepoint of this kernel, and which of its records are recorded.
public struct Tracepoint: Hashable, Sendable {
  /// `kvm`, `kvmmmu`, `sched`…
  public var system: String
  public var name: String
  /// The number in the first two bytes of its records, and perf's `config`.
  public var id: UInt64
  /// The content of events/SYSTEM/NAME/format.
  public var format: String
  /// The kernel's filter expression; nil for every record.
  public var filter: String?

  public init(system: String, name: String, id: UInt64, format: String, filter: String?) {
    self.system = system
    self.name = name
    self.id = id
    self.format = format
    self.filter = filter
  }
}
