/// Where a fact came from, so that a verdict can cite it.
public enum Source: Hashable, Sendable {
  /// A record of a trace: the event's name and its time in nanoseconds on the trace's clock.
  case trace(event: String, time: UInt64?)
  /// A line of a log or a pasted dump, counted from 1.
  case log(name: String, line: Int)
  /// A file as a whole.
  case file(String)
  /// The registers of a frozen or sampled guest, with how they were read (`QMP: info registers`).
  case registers(String)
  /// The guest's memory.
  case guestMemory
  /// A question answered by the running QEMU (`QMP: qom-get pdpe1gb`).
  case qmp(String)
  /// The QEMU command line.
  case commandLine
  /// The guest's own ELF image.
  case image(String)
  /// Something asked of the host (`KVM_GET_SUPPORTED_CPUID`, `kvm_amd.npt`).
  case host(String)
  /// Knowledge that was not observed here (`QEMU 7.2's Haswell`).
  case assumed(String)
  /// Worked out from other facts by the rules of the architecture.
  case reenactment
}

extension Source: CustomStringConvertible {
  public var description: String {
    switch self {
    case .trace(let event, _): "trace: \(event)"
    case .log(let name, let line): "\(name):\(line)"
    case .file(let name): name
    case .registers(let how): how
    case .guestMemory: "guest memory"
    case .qmp(let question): "QMP: \(question)"
    case .commandLine: "command line"
    case .image(let name): name
    case .host(let question): "host: \(question)"
    case .assumed(let what): "assumed: \(what)"
    case .reenactment: "reenactment"
    }
  }

  /// Nanoseconds on the trace's clock, for a record of a trace.
  public var time: UInt64? {
    if case .trace(_, let time) = self { return time }
    return nil
  }
}

/// A value together with where it came from.
public struct Sourced<Value> {
  public var value: Value
  public var source: Source

  public init(_ value: Value, _ source: Source) {
    self.value = value
    self.source = source
  }
}

extension Sourced: Sendable where Value: Sendable {}
extension Sourced: Equatable where Value: Equatable {}
extension Sourced: Hashable where Value: Hashable {}

/// One fact that a verdict rests on, in words.
public struct Evidence: Hashable, Sendable {
  public var text: String
  public var source: Source

  public init(_ text: String, _ source: Source) {
    self.text = text
    self.source = source
  }
}
