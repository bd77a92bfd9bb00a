import QEMU
import Testing
import X86

@Suite("a memory map as text")
struct MemoryMapTextTests {
  @Test("reads back as what it was")
  func roundTrip() {
    func range(
      _ first: UInt64, _ last: UInt64, _ kind: MemoryMap.Kind, _ name: String, _ offset: UInt64 = 0
    ) -> MemoryMap.Range {
      .init(first: PhysicalAddress(first), last: PhysicalAddress(last), kind: kind, name: name, offset: offset)
    }
    let map = MemoryMap(ranges: [
      range(0, 0x9FFFF, .ram, "pc.ram"), range(0xA0000, 0xBFFFF, .device, "vga-lowmem"),
      range(0xE0000, 0xFFFFF, .rom, "a name with @ and (blanks)", 0x20000),
      range(0x1_0000_0000, 0xFFFF_FFFF_FFFF_FFFF, .ram, "pc.ram", 0xC000_0000),
    ])
    #expect(MemoryMap(monitorText: map.monitorText) == map)
  }
}
