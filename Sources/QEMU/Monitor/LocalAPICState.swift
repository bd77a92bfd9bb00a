/// A processor's local APIC, as the monitor's `info lapic` shows it (target/i386/cpu-dump.c: x86_cpu_dump_local_apic_state,
/// 7.2): among other lines `dumping local APIC state for CPU 0`, `ISR	 48 ` and `IRR	 48 52(level) `.
public struct LocalAPICState: Hashable, Sendable {
  /// QEMU's number of the processor.
  public var cpu: Int
  /// The vectors that were delivered and not ended (ISR).
  public var inService: Set<UInt8>
  /// The vectors that wait (IRR).
  public var requests: Set<UInt8>
  /// The vector of its timer (LVTT); nil where the timer is masked, and where nothing tells.
  public var timerVector: UInt8?

  public init(cpu: Int, inService: Set<UInt8>, requests: Set<UInt8>, timerVector: UInt8? = nil) {
    self.cpu = cpu
    self.inService = inService
    self.requests = requests
    self.timerVector = timerVector
  }

  /// All that a text shows; one that is cut is left out.
  public static func all(inMonitorText text: String) -> [LocalAPICState] {
    var states: [LocalAPICState] = []
    var cpu: Int?
    var inService: Set<UInt8>?
    var timer: UInt8?
    for line in text.split(whereSeparator: \.isNewline) {
      if line.hasPrefix(opening) {
        cpu = Int(line.dropFirst(opening.count).prefix { $0.isASCII && $0.isNumber })
        (inService, timer) = (nil, nil)
      } else if line.hasPrefix("LVTT\t") {
        timer = vectorNotMasked(in: line)
      } else if line.hasPrefix("ISR\t") {
        inService = vectors(in: line)
      } else if line.hasPrefix("IRR\t"), let number = cpu, let served = inService, let requests = vectors(in: line) {
        states.append(LocalAPICState(cpu: number, inService: served, requests: requests, timerVector: timer))
        cpu = nil
      }
    }
    return states
  }

  private static let opening = "dumping local APIC state for CPU "

  /// The vector of a local vector table's entry (bits 7:0), unless it is masked (bit 16; SDM vol. 3, 11.5.1).
  private static func vectorNotMasked(in line: Substring) -> UInt8? {
    guard let word = line.dropFirst("LVTT\t".count).split(separator: " ").first, word.hasPrefix("0x"),
      let entry = UInt32(word.dropFirst(2), radix: 16), entry & 1 << 16 == 0
    else { return nil }
    return UInt8(truncatingIfNeeded: entry)
  }

  private static func vectors(in line: Substring) -> Set<UInt8>? {
    let words = line.dropFirst("ISR\t".count).split(separator: " ")
    if words == ["(none)"] { return [] }
    let vectors = words.map { UInt8($0.prefix { $0.isASCII && $0.isNumber }) }
    return vectors.contains(nil) ? nil : Set(vectors.compactMap(\.self))
  }

  /// The vector in service that keeps others waiting: those of its class, the upper four bits, and of lower ones are not delivered
  /// before it was ended (SDM vol. 3, 11.8.3.1, 11.8.4); nil where nothing waits for that.
  public var obstacle: UInt8? {
    guard let highest = inService.max(), requests.contains(where: { $0 >= 16 && $0 >> 4 <= highest >> 4 }) else {
      return nil
    }
    return highest
  }
}
