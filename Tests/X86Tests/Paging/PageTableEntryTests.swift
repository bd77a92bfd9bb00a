import Testing
import X86

@Suite("Page-table entries")
struct PageTableEntryTests {
  @Test("Each bit has its name where it means something")
  func bitNames() {
    let common = [0: "P", 1: "RW", 2: "US", 3: "PWT", 4: "PCD", 5: "A", 63: "XD"]
    let leaf = common.merging([6: "D", 8: "G"]) { $1 }
    let rows: [(PagingStructure, UInt64, [Int: String])] = [
      (.pml5, 1, common.merging([7: "PS"]) { $1 }), (.pml4, 1, common.merging([7: "PS"]) { $1 }),
      (.pageDirectoryPointerTable, 1, common), (.pageDirectoryPointerTable, 0x81, leaf.merging([12: "PAT"]) { $1 }),
      (.pageDirectory, 1, common), (.pageDirectory, 0x81, leaf.merging([12: "PAT"]) { $1 }),
      (.pageTable, 1, leaf.merging([7: "PAT"]) { $1 }),
    ]
    for (structure, base, names) in rows {
      let without = PageTableEntry(base).flagNames(at: structure)
      for bit in 1...63 where !(bit == 7 && structure < .pml4 && structure > .pageTable) {
        let added = PageTableEntry(base | 1 << UInt64(bit)).flagNames(at: structure).filter { !without.contains($0) }
        #expect(added == (names[bit].map { [$0] } ?? []), "bit \(bit) of \(structure.entryName) \(base)")
      }
    }
    #expect(PageTableEntry(0xA3).flagNames(at: .pageDirectoryPointerTable) == ["P", "RW", "A", "PS"])
    #expect(PageTableEntry(0xFFFF_FFFF_FFFF_FFFE).flagNames(at: .pageTable) == [])
  }

  @Test("Flags")
  func flags() {
    let flags: [(UInt64, (PageTableEntry) -> Bool)] = [
      (0, { $0.isPresent }), (1, { $0.isWritable }), (2, { $0.isUser }), (3, { $0.isWriteThrough }),
      (4, { $0.isCacheDisabled }), (5, { $0.isAccessed }), (6, { $0.isDirty }), (7, { $0.pageSizeBit }),
      (8, { $0.isGlobal }), (63, { $0.isExecuteDisabled }),
    ]
    for (bit, isSet) in flags {
      #expect(isSet(PageTableEntry(1 << bit)), "bit \(bit)")
      #expect(!isSet(PageTableEntry(~(1 << bit))), "bit \(bit)")
    }
    #expect(PageTableEntry(0x5000_0000_0000_0000).protectionKey == 10)
  }

  @Test("Addresses", arguments: PagingStructure.allCases)
  func addresses(structure: PagingStructure) {
    let small = PageTableEntry(0xFFFF_FFFF_FFFF_FF7F)
    let large = PageTableEntry(0xFFFF_FFFF_FFFF_FFFF)
    #expect(small.table == PhysicalAddress(0x000F_FFFF_FFFF_F000))
    #expect(small.page(at: structure)?.rawValue == (structure == .pageTable ? 0x000F_FFFF_FFFF_F000 : nil))
    let bases: [PagingStructure: UInt64] = [
      .pageTable: 0x000F_FFFF_FFFF_F000, .pageDirectory: 0x000F_FFFF_FFE0_0000,
      .pageDirectoryPointerTable: 0x000F_FFFF_C000_0000,
    ]
    #expect(large.page(at: structure)?.rawValue == bases[structure])
    #expect(large.isLeaf(at: structure) == (bases[structure] != nil))
    #expect(structure.pageSize == bases[structure].map { 0x0010_0000_0000_0000 - $0 })
    #expect((large.pat(at: structure) == nil) == (bases[structure] == nil))
  }

  @Test("The structures of the walk")
  func structures() {
    let downwards: [PagingStructure] = [.pml5, .pml4, .pageDirectoryPointerTable, .pageDirectory, .pageTable]
    #expect(downwards.map(\.level) == [5, 4, 3, 2, 1])
    #expect(downwards.map(\.next) == Array(downwards.dropFirst()) + [nil])
    #expect(downwards.map(\.name) == ["PML5", "PML4", "PDPT", "PD", "PT"])
    #expect(downwards.map(\.entryName) == ["PML5E", "PML4E", "PDPTE", "PDE", "PTE"])
    #expect([-1, 0, 6, 256, 257].map(PagingStructure.init(level:)) == [nil, nil, nil, nil, nil])
    #expect((1...5).compactMap(PagingStructure.init(level:)) == downwards.reversed())
    // Index n at the structure of level n, and an offset that belongs to none.
    let address = LinearAddress(5 << 48 | 4 << 39 | 3 << 30 | 2 << 21 | 1 << 12 | 0xFFF)
    #expect(downwards.map { $0.index(of: address) } == [5, 4, 3, 2, 1])
    #expect(
      PagingStructure.pml4.entryAddress(of: address, in: PhysicalAddress(0x1000)) == PhysicalAddress(0x1020))
  }

  @Test("Rights are those of the three bits")
  func rights() {
    #expect(PageTableEntry(0).rights == .execute)
    #expect(PageTableEntry(1 << 1).rights == [.write, .execute])
    #expect(PageTableEntry(1 << 2).rights == [.user, .execute])
    #expect(PageTableEntry(1 << 63).rights == [])
    #expect(PageTableEntry(0x7FFF_FFFF_FFFF_FFFF).rights == .all)
  }
}
