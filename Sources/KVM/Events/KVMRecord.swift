/// One KVM event of a trace, with when and where it happened.
public struct KVMRecord: Hashable, Sendable {
  /// Nanoseconds on the trace's clock; nil where a pasted line has no time.
  public var time: UInt64?
  /// The host CPU; nil where the trace does not show it.
  public var cpu: Int?
  /// The name of the thread that was running.
  public var task: String?
  /// The thread that was running: a vCPU's thread for most events.
  public var threadID: Int32?
  public var event: KVMEvent
  /// The line of a text trace that says so, from 1, to be cited; nil for binary traces.
  public var line: Int?

  public init(time: UInt64?, cpu: Int?, task: String?, threadID: Int32?, event: KVMEvent, line: Int? = nil) {
    self.time = time
    self.cpu = cpu
    self.task = task
    self.threadID = threadID
    self.event = event
    self.line = line
  }
}
