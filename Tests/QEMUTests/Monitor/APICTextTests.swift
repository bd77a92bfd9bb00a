import QEMU
import Testing

@Suite("info lapic, and the I/O APIC in info pic")
struct APICTextTests {
  /// From QEMU 7.2.22 with the guest apic-interrupt-not-ended and two processors, without the other lines.
  private static let local = """
    dumping local APIC state for CPU 0
    LVTT\t 0x00020030 active-hi edge                 periodic     Fixed  (vec 48)
    ISR\t 48
    IRR\t 48 52(level) 64
    APR 0x00 TPR 0x00 DFR 0x0f LDR 0x00 PPR 0x30
    dumping local APIC state for CPU 1
    LVTT\t 0x00010040 active-hi edge  masked         one-shot     Fixed  (vec 64)
    ISR\t (none)
    IRR\t (none)
    """

  @Test("what is in service, what waits, and for what")
  func local() {
    let states = LocalAPICState.all(inMonitorText: Self.local.replacing("\n", with: "\r\n"))
    #expect(
      states == [
        LocalAPICState(cpu: 0, inService: [48], requests: [48, 52, 64], timerVector: 48),
        LocalAPICState(cpu: 1, inService: [], requests: []),
      ])
    #expect(states.map(\.obstacle) == [48, nil])
  }

  @Test(
    "only a vector of the same class or a lower one waits for the end of another",
    arguments: [
      ([48], [63], 48), ([48], [64], nil), ([48, 80], [64], 80), ([48], [], nil), ([], [48], nil), ([48], [3], nil),
    ] as [(Set<UInt8>, Set<UInt8>, UInt8?)])
  func obstacle(_ inService: Set<UInt8>, _ requests: Set<UInt8>, _ expected: UInt8?) {
    #expect(LocalAPICState(cpu: 0, inService: inService, requests: requests).obstacle == expected)
  }

  @Test(
    "what is cut or no number is left out",
    arguments: [
      "", "ISR\t 48\nIRR\t 48", "dumping local APIC state for CPU x\nISR\t 48\nIRR\t 48",
      "dumping local APIC state for CPU 0\nISR\t 48", "dumping local APIC state for CPU 0\nISR\t 999\nIRR\t 48",
      "dumping local APIC state for CPU 99999999999999999999\nISR\t 1\nIRR\t 1", "No local APIC found",
    ])
  func damaged(_ text: String) { #expect(LocalAPICState.all(inMonitorText: text).isEmpty) }

  @Test("pins: level-triggered, not masked, and asserted")
  func pins() {
    let text = """
      ioapic0: ver=0x20 id=0x00 sel=0x18 (redir[4])
        pin 3  0x0000000000000023 dest=0 vec=35  active-hi edge         fixed  physical
        pin 4  0x0000000000008024 dest=0 vec=36  active-hi level        fixed  physical
        pin 5  0x0000000000018025 dest=0 vec=37  active-hi level masked fixed  physical
        pin 6  0x0000000000008026 dest=0 vec=38  active-hi level        fixed  physical
        pin x  0x0000000000008026 dest=0 vec=38  active-hi level        fixed  physical
        IRR      3 4 5
        Remote IRR (none)
      pic1: irr=00 imr=ff isr=00 hprio=0 irq_base=70 rr_sel=0 elcr=0c fnm=0
      ioapic1: ver=0x20 id=0x00 sel=0x18 (redir[4])
        pin 4  0x0000000000008024 dest=0 vec=36  active-hi level        fixed  physical
      """
    let pins = IOAPICPin.all(inMonitorText: text)
    #expect(pins.map(\.number) == [3, 4, 5, 6])
    #expect(pins.filter(\.isMasked).map(\.number) == [5])
    #expect(pins.filter(\.isAsserted).map(\.vector) == [36])
  }
}
