public import Traces

/// The KVM events of a text trace.
public struct KVMTrace: Hashable, Sendable {
  /// In the order of the text.
  public private(set) var records: [KVMRecord] = []
  /// Holes in the trace, with the number of records before each.
  public private(set) var lost: [Hole] = []
  public private(set) var lineCount = 0
  /// Lines that are no part of a trace.
  public private(set) var unrecognizedLineCount = 0
  /// Events of other systems, such as sched.
  public private(set) var otherEventCount = 0
  /// Whether the text ends within a line, so that the last record may be of half a line.
  public private(set) var endsInsideLine = false

  public struct Hole: Hashable, Sendable {
    public var events: LostEvents
    /// The line that says so, from 1.
    public var line: Int
    /// The number of records before it.
    public var position: Int
  }

  /// Reads a trace as trace-cmd, perf or ftrace print it, with whatever text stands around it.
  public init(text: Span<UInt8>) {
    var reader = TextTraceReader(text) { KVMTextDecoder.isKnown(name: $0) }
    var isBare = false
    // Most events come from a few tasks, and names are shared.
    var task = ""
    while let item = reader.next() {
      switch item {
      case .lost(let events, let line):
        lost.append(Hole(events: events, line: line, position: records.count))
      case .event(let line):
        guard line.isOfKVM else {
          otherEventCount += 1
          continue
        }
        let event = Self.decode(line, continuedBy: &reader)
        if line.isBare, !isBare, case .undecodable = event {
          // Without a line before it that is an event's for certain, it is prose that begins with an event's name.
          unrecognizedLineCount += 1
          continue
        }
        isBare = line.isBare
        if let name = line.task, !name.equals(task) { task = name.string }
        records.append(
          KVMRecord(
            time: line.time, cpu: line.cpu, task: line.task == nil ? nil : task, threadID: line.threadID,
            event: event, line: line.number))
      }
    }
    lineCount = reader.lineCount
    unrecognizedLineCount += reader.unrecognizedLineCount
    endsInsideLine = reader.endsInsideLine
    settleVendor()
  }

  public init(text: String) {
    let utf8 = text.utf8
    self.init(text: utf8.span)
  }

  /// The most lines that a mail program makes of the longest text of an event, of 220 bytes, after the first.
  private static let continuationLimit = 4

  /// Decodes a line, together with the indented lines after it if it means nothing without them.
  @_lifetime(reader: copy reader)
  private static func decode(_ line: TextTraceLine, continuedBy reader: inout TextTraceReader) -> KVMEvent {
    let event = KVMTextDecoder.decode(name: line.name, text: line.text)
    guard case .undecodable = event else { return event }
    var ahead = reader
    var text = line.text.copy
    for _ in 0..<continuationLimit {
      guard let rest = ahead.nextContinuation() else { return event }
      if !text.isEmpty { text.append(UInt8(ascii: " ")) }
      text += rest.copy
      let joined = KVMTextDecoder.decode(name: line.name, text: text.span)
      guard case .undecodable = joined else {
        reader = ahead
        return joined
      }
    }
    return event
  }

  /// Gives the exits whose name several vendors use (`PF excp`) the vendor of the other exits, if those have only one.
  private mutating func settleVendor() {
    var vendors: Set<KVMExit.Vendor> = []
    for record in records {
      if case .exit(let exit) = record.event, let vendor = exit.vendor { vendors.insert(vendor) }
    }
    guard vendors.count == 1, let vendor = vendors.first else { return }
    for index in records.indices {
      if case .exit(var exit) = records[index].event, exit.vendor == nil {
        exit.settle(vendor)
        records[index].event = .exit(exit)
      }
    }
  }
}

extension TextTraceLine {
  /// Whether the event is of kvm or kvmmmu. ftrace and trace-cmd do not print the system: then the name must tell.
  fileprivate var isOfKVM: Bool {
    if let system { return system.equals("kvm") || system.equals("kvmmmu") }
    return name.hasPrefix("kvm_") || name.equals("vcpu_match_mmio") || name.equals("fast_page_fault")
      || name.equals("check_mmio_spte") || name.equals("mark_mmio_spte") || name.equals("handle_mmio_page_fault")
  }
}

extension Span where Element == UInt8 {
  fileprivate var copy: [UInt8] { indices.map { self[$0] } }
}
