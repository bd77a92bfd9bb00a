public import Traces

/// What a binary trace holds of the deaths in it: of each thread that KVM reported one for, the events before the last.
///
/// A trace may hold millions of events, and a verdict needs the last few of each vCPU that died: only those are decoded.
public struct KVMDeathRecords: Sendable {
  /// How many events of a thread are kept before its death: a delivery that fails takes a few dozen.
  private static let windowSize = 4096

  /// In the order of their times. Of a trace without deaths, the events at its end.
  public private(set) var records: [KVMRecord] = []
  /// The indices of the records before which events were lost.
  public private(set) var holes: Set<Int> = []
  /// How many events the trace has.
  public let eventCount: Int
  /// What could not be read, at most as many as one would read.
  public let damage: [TraceDamage]

  /// The returns of KVM_RUN that end a guest.
  private static let fatalExits: Set<UInt64> = [
    UInt64(UserspaceExitReason.shutdown.rawValue), UInt64(UserspaceExitReason.failEntry.rawValue),
    UInt64(UserspaceExitReason.internalError.rawValue),
  ]

  public init(_ file: TraceFile) {
    let context = file.context
    let pattern = EventPattern(
      "kvm:kvm_userspace_exit", where: "reason", isOneOf: Self.fatalExits, in: context)
    let windows = ThreadWindows(file, before: pattern, size: Self.windowSize)
    eventCount = windows.eventCount
    damage = windows.damage
    var decoders = KVMDecoders(context)
    var records: [KVMRecord] = []
    var holes: Set<Int> = []
    var isAfterHole = false
    windows.forEach { item in
      switch item {
      case .event(let event):
        guard let record = decoders.record(event) else { return }
        if isAfterHole { holes.insert(records.count) }
        isAfterHole = false
        records.append(record)
      case .lost, .damage: isAfterHole = true
      }
    }
    self.records = records
    self.holes = holes
  }
}

/// The decoders of a trace's events, made when first needed.
struct KVMDecoders {
  private let context: TraceContext
  private var decoders: [Int: KVMDecoder?] = [:]

  init(_ context: TraceContext) { self.context = context }

  /// The record of an event; nil for one that is not KVM's.
  ///
  /// - Parameter name: The only event that is wanted; nil for all.
  mutating func record(_ event: borrowing TraceEvent, ifNamed name: String? = nil) -> KVMRecord? {
    guard let index = event.event, let decoder = decoder(at: index) else { return nil }
    if let name, decoder.format.name != name { return nil }
    return KVMRecord(
      time: context.timesAreNanoseconds ? event.time : nil, cpu: event.cpu,
      task: context.taskNames.text(of: event.taskName), threadID: event.threadID,
      event: decoder.decode(event.payload))
  }

  private mutating func decoder(at index: Int) -> KVMDecoder? {
    if let known = decoders[index] { return known }
    var decoder: KVMDecoder?
    if case .success(let format) = context.events.format(at: index) {
      decoder = KVMDecoder(format: format, symbols: context.symbols)
    }
    decoders[index] = .some(decoder)
    return decoder
  }
}
