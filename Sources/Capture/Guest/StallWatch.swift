import QEMU

/// A look at a guest that goes on running.
public struct GuestSample: Hashable, Sendable {
  /// The monitor's `info registers -a`.
  public var registers: String
  /// The monitor's `info pic`.
  public var interruptControllers: String
  /// The monitor's `info lapic` of each processor; empty where it was not asked for.
  public var localAPICs: String

  public init(registers: String, interruptControllers: String, localAPICs: String = "") {
    self.registers = registers
    self.interruptControllers = interruptControllers
    self.localAPICs = localAPICs
  }
}

/// When a running guest is looked at to see whether it gets anywhere, and what was seen.
struct StallWatch {
  /// How many samples are spread over the time in which a guest has to make progress.
  private static let samplesPerStall = 8

  private let interval: Duration
  private(set) var next: ContinuousClock.Instant
  private var samples: [GuestSample] = []

  /// - Parameter time: How long a guest may take to make progress.
  init(_ time: Duration) {
    interval = time / Self.samplesPerStall
    next = .now + interval
  }

  /// Forgets what was seen: the guest did something, or stood still for its user.
  mutating func restart() {
    samples = []
    next = .now + interval
  }

  /// Keeps a sample; gives them all when the time is over, and begins anew.
  mutating func add(_ sample: GuestSample) -> [GuestSample]? {
    samples.append(sample)
    next = .now + interval
    guard samples.count > Self.samplesPerStall else { return nil }
    let whole = samples
    samples = [sample]
    return whole
  }
}

extension GuestSample {
  /// Of how many processors the local APIC is looked at.
  private static let mostLocalAPICs = 16

  /// Looks at a guest without stopping it: each processor is asked where it is, between two of its instructions.
  ///
  /// - Parameter monitor: What a command of the human monitor prints; nil where QEMU does not answer.
  init?(asking monitor: (String) -> String?) {
    guard let registers = monitor("info registers -a"), let controllers = monitor("info pic") else { return nil }
    let processors = registers.split(whereSeparator: \.isNewline).count { $0.hasPrefix("CPU#") }
    // An APIC's ID is the processor's number where there are as many in a core, a die and a socket as a power of two; of others nothing
    // is known.
    let apics = (0..<min(processors, Self.mostLocalAPICs)).map { monitor("info lapic \($0)") ?? "" }
    self.init(
      registers: registers, interruptControllers: controllers, localAPICs: apics.joined(separator: "\n"))
  }
}
