import GuestMemory
import Investigation
import QEMU
import Testing
import X86

@Suite("Surveys of an address space")
struct AddressSpaceSurveyTests {
  private func survey(_ guest: SmallGuest, layout: MemoryMap? = nil) throws -> (AddressSpaceSurvey, [MappedRange]) {
    var ranges: [MappedRange] = []
    let survey = AddressSpaceSurvey(of: try #require(guest.paging), in: guest.memory, layout: layout) {
      ranges.append($0)
    }
    return (survey, ranges)
  }

  @Test("a healthy guest's ranges, and that all of it may be written and executed")
  func healthy() throws {
    let (survey, ranges) = try survey(SmallGuest())
    #expect(survey.end == .complete)
    #expect(ranges.map(\.size) == [4 << 20])
    #expect(survey.mappedSize == 4 << 20 && survey.rangeCount == 1 && survey.tableCount == 3)
    #expect(survey.counts == [.writableAndExecutable: 1])
  }

  @Test("each kind of trouble is found")
  func troubles() throws {
    var guest = SmallGuest()
    // PDPTE 1 leads out of the memory, 2 maps 1 GiB, 3 is a table that was not kept; PML4E 510 is a self-map.
    guest.memory.store(0x80_0000_0023, at: SmallGuest.pdpt + 8)
    guest.memory.insert(hole: .unbacked, at: PhysicalAddress(0x80_0000_0000))
    guest.memory.store(0x8000_00A3, at: SmallGuest.pdpt + 16)
    guest.memory.store(0xABC_D023, at: SmallGuest.pdpt + 24)
    guest.memory.store(SmallGuest.pml4 | 0x23, at: SmallGuest.pml4 + 8 * 510)
    guest.memory.store(0xFE_C000_0023, at: SmallGuest.pdpt + 32)
    guest.memory.insert(hole: .device, at: PhysicalAddress(0xFE_C000_0000))
    let (survey, _) = try survey(guest)
    let starts = survey.troubles.mapValues { $0.map(\.start.rawValue) }
    #expect(starts[.tableOutsideRAM]?.first == 0x4000_0000)
    #expect(starts[.reservedBit]?.first == 0x8000_0000)
    #expect(starts[.tableNotCaptured]?.first == 0xC000_0000)
    #expect(starts[.tableOnDevice]?.first == 0x1_0000_0000)
    #expect(starts[.selfMap] == [0xFFFF_FF00_0000_0000])
  }

  @Test("tables that user mode can write")
  func userTables() throws {
    var guest = SmallGuest()
    for entry in [SmallGuest.pml4, SmallGuest.pdpt] { guest.memory.store(entry + 0x1027, at: entry) }
    guest.memory.store(0xE7, at: SmallGuest.directory)
    let (survey, _) = try survey(guest)
    #expect(
      survey.troubles[.tableWritableByUser]?.map(\.start.rawValue)
        == [SmallGuest.pml4, SmallGuest.pdpt, SmallGuest.directory])
  }

  @Test("a large page that is part memory, part device, at the edge of each")
  func overlaps() throws {
    let layout = MemoryMap(ranges: [
      .init(first: PhysicalAddress(0), last: PhysicalAddress(0x9_FFFF), kind: .ram, name: "ram", offset: 0),
      .init(first: PhysicalAddress(0xA_0000), last: PhysicalAddress(0xB_FFFF), kind: .device, name: "vga", offset: 0),
      .init(
        first: PhysicalAddress(0xC_0000), last: PhysicalAddress(0x3F_FFFF), kind: .ram, name: "ram", offset: 0xC_0000),
    ])
    let (survey, _) = try survey(SmallGuest(), layout: layout)
    let trouble = try #require(survey.troubles[.pageOverlapsDevice])
    #expect(trouble.map(\.start.rawValue) == [0])
    #expect(trouble[0].words.contains("vga"))
  }

  @Test("trouble without end is counted and not kept")
  func bounded() throws {
    var guest = SmallGuest()
    for index in UInt64(2)..<500 {
      guest.memory.store(0x2000_00E3 | 1 << 13 | index << 21, at: SmallGuest.directory + 8 * index)
    }
    let (survey, _) = try survey(guest)
    #expect(survey.counts[.reservedBit] == 498)
    #expect(survey.troubles[.reservedBit]?.count == AddressSpaceSurvey.mostOfAKind)
  }

  // MARK: Differences

  private static func range(_ start: UInt64, _ size: UInt64, at physical: UInt64, writable: Bool = true) -> MappedRange
  {
    MappedRange(
      start: LinearAddress(start), size: size, physicalStart: PhysicalAddress(physical), pageSize: 0x1000,
      rights: writable ? [.write] : [])
  }

  @Test("what is the same is no change, wherever its ranges end")
  func same() {
    let whole = [Self.range(0x1000, 0x4000, at: 0x8000)]
    let halves = [Self.range(0x1000, 0x1000, at: 0x8000), Self.range(0x2000, 0x3000, at: 0x9000)]
    #expect(AddressSpaceDifference(from: whole, to: halves).changes == [])
    #expect(AddressSpaceDifference(from: [], to: []).changes == [])
  }

  @Test("what is added, removed and changed")
  func changes() {
    let before = [Self.range(0x1000, 0x4000, at: 0x8000), Self.range(0x9000, 0x1000, at: 0)]
    let after = [Self.range(0x2000, 0x1000, at: 0x9000, writable: false), Self.range(0x3000, 0x4000, at: 0xA000)]
    let changes = AddressSpaceDifference(from: before, to: after).changes
    #expect(changes.map(\.start.rawValue) == [0x1000, 0x2000, 0x5000, 0x9000])
    #expect(changes.map(\.size) == [0x1000, 0x1000, 0x2000, 0x1000])
    #expect(changes.map { $0.before == nil } == [false, false, true, false])
    #expect(changes.map { $0.after == nil } == [true, false, false, true])
  }
}
