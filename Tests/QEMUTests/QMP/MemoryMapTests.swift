import Foundation
import QEMU
import Testing
import X86

@Suite struct MemoryMapTests {
  private static func map(_ name: String) throws -> MemoryMap {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Fixtures/memory-maps/\(name).txt")
    return try #require(MemoryMap(monitorText: String(contentsOf: file, encoding: .utf8)))
  }

  @Test(arguments: ["pc-128m-tcg", "pc-128m-kvm"]) func `the map of a small machine`(name: String) throws {
    let map = try Self.map(name)
    let memory = map.ranges.filter { $0.kind != .device }
    #expect(
      memory == [
        range(0, 0x9FFFF, .ram, "inquest-ram", 0),
        range(0xC0000, 0xDFFFF, .rom, "pc.rom", 0),
        range(0xE0000, 0xFFFFF, .rom, "pc.bios", 0x20000),
        range(0x100000, 0x7FFFFFF, .ram, "inquest-ram", 0x100000),
        range(0xFFFC_0000, 0xFFFF_FFFF, .rom, "pc.bios", 0),
      ])
    #expect(map.range(at: PhysicalAddress(0xA0000))?.kind == .device)
    #expect(map.range(at: PhysicalAddress(0xFFFF_FFFF))?.name == "pc.bios")
    #expect(map.range(at: PhysicalAddress(0x800_0000)) == nil)
    #expect(map.range(at: PhysicalAddress(0x1_0000_0000)) == nil)
  }

  @Test func `RAM above 4 GiB goes on where RAM below it ends`() throws {
    let map = try Self.map("q35-5g-tcg")
    #expect(
      map.range(at: PhysicalAddress(0x1_2345_6789))
        == range(0x1_0000_0000, 0x1_BFFF_FFFF, .ram, "inquest-ram", 0x8000_0000))
  }

  @Test(arguments: [
    ("0000000000000000-0000000000000fff (prio 0, nv-ram): nvdimm0", MemoryMap.Kind.ram, "nvdimm0", UInt64(0)),
    ("00000000fffc0000-00000000ffffffff (prio 0, romd): system.flash0 KVM", .rom, "system.flash0", 0),
    (
      "00000000fe000000-00000000fe000fff (prio 0, ramd): 0000:01:00.0 BAR 0 mmaps[0] KVM", .device,
      "0000:01:00.0 BAR 0 mmaps[0]", 0
    ),
    ("0000000000000000-ffffffffffffffff (prio -1, i/o): io @0000000000000010", .device, "io", 0x10),
  ]) func `a line of each kind`(line: String, kind: MemoryMap.Kind, name: String, offset: UInt64) throws {
    let map = try #require(MemoryMap(monitorText: "FlatView #0\n AS \"memory\", root: system\n  \(line)\n"))
    #expect(map.ranges.map(\.kind) == [kind])
    #expect(map.ranges.map(\.name) == [name])
    #expect(map.ranges.map(\.offset) == [offset])
  }

  @Test(arguments: [
    "", "unknown command: 'info mtree -f'\r\n", "FlatView #0\n AS \"I/O\", root: io\n  0-7 (prio 0, ram): x\n",
    "FlatView #0\n AS \"memory\", root: system\n  8-7 (prio 0, ram): x\n  (-) (,):\n  0-\n  0-0 (prio 0, ram\n",
    "FlatView #0\n AS \"memory\", root: system\n  0-fffffffffffffffff (prio 0, ram): x\n",
  ]) func `text without a processor's memory gives no map`(text: String) {
    #expect(MemoryMap(monitorText: text) == nil)
  }

  private func range(
    _ first: UInt64, _ last: UInt64, _ kind: MemoryMap.Kind, _ name: String, _ offset: UInt64
  ) -> MemoryMap.Range {
    MemoryMap.Range(
      first: PhysicalAddress(first), last: PhysicalAddress(last), kind: kind, name: name, offset: offset)
  }
}
