import Testing
import X86

@Suite("Interrupt descriptor table")
struct InterruptDescriptorTableTests {
  static func table(limit: UInt16, base: UInt64 = 0x1000, longMode: Bool) -> InterruptDescriptorTable {
    InterruptDescriptorTable(
      register: DescriptorTableRegister(base: LinearAddress(base), limit: limit), isLongModeActive: longMode)
  }

  @Test(
    "A vector fits if the last byte of its gate does",
    arguments: [
      (14, 0x77, false, true), (14, 0x76, false, false), (14, 0xEF, true, true), (14, 0xEE, true, false),
      (0, 0, false, false), (0, 0, true, false), (0, 7, false, true), (0, 7, true, false), (255, 0x7FF, false, true),
      (255, 0xFFF, true, true), (255, 0xFFE, true, false), (8, 0xFFFF, true, true),
    ] as [(UInt8, UInt16, Bool, Bool)])
  func limit(vector: UInt8, limit: UInt16, longMode: Bool, fits: Bool) {
    #expect(Self.table(limit: limit, longMode: longMode).contains(ExceptionVector(rawValue: vector)) == fits)
  }

  @Test("Gates lie 8 or 16 bytes apart and wrap at the end of the address space")
  func addresses() {
    #expect(Self.table(limit: 0, longMode: false).gateAddress(of: .pageFault) == LinearAddress(0x1070))
    #expect(Self.table(limit: 0, longMode: true).gateAddress(of: .pageFault) == LinearAddress(0x10E0))
    let top = Self.table(limit: 0, base: 0xFFFF_FFF8, longMode: false)
    #expect(top.gateAddress(of: .debug) == LinearAddress(0))
    let highest = Self.table(limit: 0, base: 0xFFFF_FFFF_FFFF_FFF0, longMode: true)
    #expect(highest.gateAddress(of: .debug) == LinearAddress(0))
  }

  @Test("A 64-bit gate as Linux writes one for #DF, with IST 1")
  func longModeGate() {
    // Offset 0xffffffff_81e00ab0, selector 0x10, type 0xE, DPL 0, present.
    let gate = InterruptGate(low: 0x81E0_8E01_0010_0AB0, high: 0xFFFF_FFFF)
    #expect(gate.offset == 0xFFFF_FFFF_81E0_0AB0)
    #expect(gate.selector == SegmentSelector(rawValue: 0x10))
    #expect(gate.kind == .interrupt)
    #expect(gate.isPresent)
    #expect(gate.interruptStackTable == 1)
    #expect(gate.descriptorPrivilegeLevel == 0)
    #expect(!gate.is16Bit)
  }

  @Test("A 32-bit trap gate, DPL 3")
  func protectedModeGate() {
    let gate = InterruptGate(0x0012_EF07_0008_3456)
    #expect(gate.offset == 0x12_3456)
    #expect(gate.selector == SegmentSelector(rawValue: 8))
    #expect(gate.kind == .trap)
    #expect(gate.descriptorPrivilegeLevel == 3)
    #expect(gate.interruptStackTable == 0)
  }

  @Test("Types that the table may hold, in protected and in long mode")
  func types() {
    let protected: [UInt64: InterruptGate.Kind] = [
      5: .task, 6: .interrupt, 7: .trap, 0xE: .interrupt, 0xF: .trap,
    ]
    for type in UInt64(0)..<32 {
      let low = type << 40 | 0xABCD_0000_0000_1234
      #expect(InterruptGate(low).kind == protected[type], "type \(type)")
      #expect(InterruptGate(low: low, high: 0).kind == (type >= 0xE ? protected[type] : nil), "type \(type)")
      #expect(InterruptGate(low).is16Bit == (type == 6 || type == 7), "type \(type)")
    }
    #expect(InterruptGate(0xABCD_0600_0000_1234).offset == 0x1234)
    #expect(InterruptGate(0xABCD_0500_0000_1234).offset == 0)
  }

  @Test("A gate of zeros is neither present nor of any kind")
  func empty() {
    #expect(!InterruptGate(0).isPresent)
    #expect(InterruptGate(0).kind == nil)
    #expect(!InterruptGate(low: 0, high: 0).isPresent)
  }
}
