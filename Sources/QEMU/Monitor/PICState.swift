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
  /// Interrupts that were delivered and not ended (ISR).
  public var inService: UInt8
  /// The line of the highest priority; the others follow, and 0 comes after 7.
  public var firstLine: UInt8
  /// Whether it is the second one, which asks through line 2 of the first.
  public var isSecond: Bool

  public init(
    requests: UInt8, mask: UInt8, levelTriggered: UInt8, firstVector: UInt8, inService: UInt8 = 0, firstLine: UInt8 = 0,
    isSecond: Bool = false
  ) {
    self.requests = requests
    self.mask = mask
    self.levelTriggered = levelTriggered
    self.firstVector = firstVector
    self.inService = inService
    self.firstLine = firstLine
    self.isSecond = isSecond
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
      let vector = number("irq_base"), let inService = number("isr"), let firstLine = number("hprio")
    else { return nil }
    self.init(
      requests: requests, mask: mask, levelTriggered: level, firstVector: vector, inService: inService,
      firstLine: firstLine, isSecond: line.hasPrefix("pic1"))
  }

  /// The vectors of lines that are level-triggered, not masked, and asserted.
  public var assertedVectors: Set<UInt8> {
    let asserted = requests & levelTriggered & ~mask
    return Set((0..<8).filter { asserted & 1 << $0 != 0 }.map { firstVector &+ UInt8($0) })
  }
  /// The line in service of the highest priority: neither it nor a line behind it is delivered before it was ended (hw/intc/i8259.c:
  /// pic_get_irq, 7.2). One that is masked does not count, for in the special mask mode it holds back nothing.
  public var lineInService: UInt8? { linesByPriority.first { inService & ~mask & 1 << $0 != 0 } }

  /// The lines that are not masked, and that nothing in service holds back.
  public var openLines: [UInt8] {
    linesByPriority.prefix { $0 != lineInService }.filter { mask & 1 << $0 == 0 }
  }

  /// The lines that ask, are not masked, and are held back by one in service.
  public var waitingLines: [UInt8] {
    guard lineInService != nil else { return [] }
    return linesByPriority.drop { $0 != lineInService }.filter { requests & ~mask & 1 << $0 != 0 }
  }

  private var linesByPriority: [UInt8] { (0..<8).map { ($0 &+ firstLine) & 7 } }
}
