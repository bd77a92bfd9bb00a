/// One of the two 8259 interrupt controllers, as the monitor's `info pic` shows it (hw/intc/i8259_common.c:
/// pic_print_info, 7.2): `pic0: irr=10 imr=ef isr=00 hprio=0 irq_base=20 rr_sel=0 elcr=10 fnm=0`.
public struct PICState: Hashable, Sendable {
  /// Interrupts that are asked for: of a level-triggered line, for as long as it is asserted.
  public var requests: UInt8
  /// Interrupts that are masked.
  public var mask: UInt8
  /// Lines that are level-triggered.
  public var levelTriggered: UInt8
  /// The vector of its first line.
  public var firstVector: UInt8

  public init(requests: UInt8, mask: UInt8, levelTriggered: UInt8, firstVector: UInt8) {
    self.requests = requests
    self.mask = mask
    self.levelTriggered = levelTriggered
    self.firstVector = firstVector
  }

  /// Both, by their vectors; those whose line is cut are left out.
  public static func all(inMonitorText text: String) -> [PICState] {
    text.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("pic") }.compactMap(Self.init)
  }

  private init?(_ line: Substring) {
    func number(_ name: String) -> UInt8? {
      guard let word = line.split(separator: " ").first(where: { $0.hasPrefix("\(name)=") }) else { return nil }
      return UInt8(word.dropFirst(name.utf8.count + 1), radix: 16)
    }
    guard let requests = number("irr"), let mask = number("imr"), let level = number("elcr"),
      let vector = number("irq_base")
    else { return nil }
    self.init(requests: requests, mask: mask, levelTriggered: level, firstVector: vector)
  }

  /// The vectors of lines that are level-triggered, not masked, and asserted.
  public var assertedVectors: Set<UInt8> {
    let asserted = requests & levelTriggered & ~mask
    return Set((0..<8).filter { asserted & 1 << $0 != 0 }.map { firstVector &+ UInt8($0) })
  }
}
