import Testing

@testable import QEMU

@Suite("info pic")
struct PICStateTests {
  /// From QEMU 7.2.22 with the guest interrupt-not-acknowledged, without the other pins.
  static let text = """
    ioapic0: ver=0x20 id=0x00 sel=0x00
      pin 4  0x0000000000010000 dest=0 vec=0   active-hi edge  masked fixed  physical
      IRR      (none)
      Remote IRR (none)
    pic1: irr=00 imr=ff isr=00 hprio=0 irq_base=28 rr_sel=0 elcr=0c fnm=0
    pic0: irr=11 imr=ef isr=10 hprio=0 irq_base=20 rr_sel=0 elcr=10 fnm=0
    """

  @Test("the lines that are level-triggered, not masked, and asserted")
  func asserted() {
    let controllers = PICState.all(inMonitorText: Self.text.replacing("\n", with: "\r\n"))
    #expect(controllers.count == 2)
    #expect(controllers.map(\.assertedVectors) == [[], [0x24]])
  }

  @Test(
    "what is cut or no number is left out",
    arguments: ["pic0: irr=11 imr=ef", "pic0: irr=zz imr=ef isr=10 irq_base=20 elcr=10", ""])
  func damaged(_ text: String) { #expect(PICState.all(inMonitorText: text).isEmpty) }
}
