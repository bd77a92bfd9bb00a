/// A pin of an I/O APIC, as the monitor's `info pic` shows it (hw/intc/ioapic_common.c: ioapic_print_redtbl, 7.2):
///
///     ioapic0: ver=0x20 id=0x00 sel=0x18 (redir[4])
///       pin 4  0x0000000000008024 dest=0 vec=36  active-hi level        fixed  physical
///       IRR      4
public struct IOAPICPin: Hashable, Sendable {
  public var number: Int
  /// The redirection entry.
  public var entry: UInt64
  /// Whether an interrupt is asked for (IRR): of a level-triggered line, for as long as it is asserted.
  public var isRequested: Bool

  public init(number: Int, entry: UInt64, isRequested: Bool) {
    self.number = number
    self.entry = entry
    self.isRequested = isRequested
  }

  public var vector: UInt8 { UInt8(truncatingIfNeeded: entry) }

  /// Bit 16 (82093AA I/O APIC, 3.2.4).
  public var isMasked: Bool { entry & 1 << 16 != 0 }

  /// Whether it is level-triggered (bit 15), not masked, and its line asserted (82093AA I/O APIC, 3.2.4).
  public var isAsserted: Bool { isRequested && entry & 1 << 15 != 0 && !isMasked }

  /// The pins of all I/O APICs; those of one whose requests are cut are left out.
  public static func all(inMonitorText text: String) -> [IOAPICPin] {
    var pins: [IOAPICPin] = []
    var open: [(number: Int, entry: UInt64)] = []
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.split(separator: " ")
      if line.hasPrefix("ioapic") {
        open = []
      } else if words.count > 2, words[0] == "pin", let number = Int(words[1]), words[2].hasPrefix("0x"),
        let entry = UInt64(words[2].dropFirst(2), radix: 16)
      {
        open.append((number, entry))
      } else if words.first == "IRR" {
        let requests = Set(words.dropFirst().compactMap { Int($0) })
        pins += open.map { IOAPICPin(number: $0.number, entry: $0.entry, isRequested: requests.contains($0.number)) }
        open = []
      }
    }
    return pins
  }
}
