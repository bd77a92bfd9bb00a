import GuestImage
import Testing
import X86

@Suite struct GuestImageTests {
  @Test func identifiesAnELF32MultibootKernel() throws {
    let image = try Fixtures.image(Fixtures.oneGiBPages)
    #expect(image.imageClass == .elf32)
    #expect(image.machine == .i386)
    #expect(image.entryPoint == 0x10000C)
    #expect(image.problems.isEmpty)
    #expect(image.segments.map(\.physicalAddress.rawValue) == [0xFF000, 0x100000, 0x101000])
    #expect(image.segments.map(\.memorySize) == [0x94, 0x9C, 0x4000])
    #expect(image.segments.map(\.fileSize) == [0x94, 0x9C, 0x1A])
    #expect(image.segments.map(\.isExecutable) == [false, true, false])
    #expect(image.segments.map(\.isWritable) == [false, false, true])
  }

  @Test func identifiesAnELF64KernelOfTheUpperHalf() throws {
    let image = try Fixtures.image(Fixtures.higherHalf)
    #expect(image.imageClass == .elf64)
    #expect(image.machine == .amd64)
    #expect(image.entryPoint == 0x200000)
    #expect(image.segments.map(\.virtualAddress.rawValue) == [0x200000, 0xFFFF_FFFF_8020_1000, 0xFFFF_FFFF_8020_2000])
    #expect(image.segments.map(\.physicalAddress.rawValue) == [0x200000, 0x201000, 0x202000])
  }

  @Test(
    arguments: [
      (0x10_000C, "_start"), (0x10_0022, "_start+0x16"), (0x10_0023, "_start.map"), (0x10_006D, "_start.map+0x4a"),
      (0x10_009B, "lmode+0x17"), (0x10_1007, "gdt+0x7"), (0x10_1010, "gdtp"), (0x10_2000, "hp4_table"),
    ] as [(UInt64, String)])
  func namesThePlacesOfAnAssembledKernel(address: UInt64, symbol: String) throws {
    let image = try Fixtures.image(Fixtures.oneGiBPages)
    #expect(image.symbol(containing: LinearAddress(address))?.description == symbol)
  }

  @Test(
    arguments: [
      (0x20_0002, "_start+0x2"), (0x20_000F, "boot_paging+0xc"),
      // The symbol has a size, so the label inside it does not hide it.
      (0xFFFF_FFFF_8020_1006, "trampoline+0x6"),
      (0xFFFF_FFFF_8020_100E, "behind_label"),
      (0xFFFF_FFFF_8020_1022, "vga::put(unsigned int, char)+0x12"),
      (0xFFFF_FFFF_8020_104B, "kernel_main+0x1b"), (0xFFFF_FFFF_8020_2012, "vga::screen+0x2"),
    ] as [(UInt64, String)])
  func namesThePlacesOfACompiledKernel(address: UInt64, symbol: String) throws {
    let image = try Fixtures.image(Fixtures.higherHalf)
    #expect(image.symbol(containing: LinearAddress(address))?.description == symbol)
  }

  @Test(
    arguments: [
      0, 0x1F_FFFF, 0x20_0010, 0xFFFF_FFFF_8020_100C, 0xFFFF_FFFF_8020_102C, 0xFFFF_FFFF_8020_1050, .max,
    ] as [UInt64])
  func namesNothingThatNoSymbolReaches(address: UInt64) throws {
    let image = try Fixtures.image(Fixtures.higherHalf)
    #expect(image.symbol(containing: LinearAddress(address)) == nil)
  }

  @Test(
    arguments: [
      (Fixtures.oneGiBPages, 0x10_000C, "/src/guest.asm:9"), (Fixtures.oneGiBPages, 0x10_006D, "/src/guest.asm:35"),
      (Fixtures.oneGiBPages, 0x10_0084, "/src/guest.asm:40"), (Fixtures.oneGiBPages, 0x10_009C, nil),
      (Fixtures.oneGiBPages, 0, nil),
      (Fixtures.higherHalf, 0x20_0006, "/guest/higher-half.S:9"),
      (Fixtures.higherHalf, 0xFFFF_FFFF_8020_1006, "/guest/higher-half.S:18"),
      (Fixtures.higherHalf, 0xFFFF_FFFF_8020_101B, "/guest/higher-half.cpp:7:46"),
      (Fixtures.higherHalf, 0xFFFF_FFFF_8020_1022, "/guest/higher-half.cpp:7:20"),
      (Fixtures.higherHalf, 0xFFFF_FFFF_8020_104B, "/guest/higher-half.cpp:13:3"),
      (Fixtures.higherHalf, 0xFFFF_FFFF_8020_1050, nil), (Fixtures.higherHalf, .max, nil),
    ] as [(String, UInt64, String?)])
  func findsSourceLines(fixture: String, address: UInt64, line: String?) throws {
    let image = try Fixtures.image(fixture)
    #expect(image.sourceLine(at: LinearAddress(address))?.description == line)
  }

  @Test func namesTheTableThatAnEntryIsIn() throws {
    let image = try Fixtures.image(Fixtures.oneGiBPages)
    let entry = LinearAddress(0x103418)
    #expect(image.symbol(containing: entry) == nil)
    #expect(image.symbol(atOrBefore: entry)?.description == "hp3_table+0x418")
    #expect(image.symbol(atOrBefore: LinearAddress(0x105000)) == nil)
    #expect(image.symbol(atOrBefore: LinearAddress(0x10000B)) == nil)
  }

  @Test func tellsLinkedFromLoadedAddresses() throws {
    let image = try Fixtures.image(Fixtures.higherHalf)
    let linked = try #require(image.place(of: 0xFFFF_FFFF_8020_1022 as UInt64))
    #expect(linked.match == .virtual)
    #expect(linked.physical == PhysicalAddress(0x201022))
    let loaded = try #require(image.place(of: 0x201022 as UInt64))
    #expect(loaded.match == .physical)
    #expect(loaded.virtual == LinearAddress(0xFFFF_FFFF_8020_1022))
    #expect(image.symbol(containing: loaded.virtual)?.linkName == "_ZN3vga3putEjc")
    let boot = try #require(image.place(of: 0x200003 as UInt64))
    #expect(boot.match == .virtual)
    #expect(image.place(of: 0x203000 as UInt64) == nil)
    #expect(image.place(of: 0xFFFF_FFFF_8020_20B0 as UInt64) == nil)
  }

  @Test func givesBytesAndZeroFillAndNoMore() throws {
    let image = try Fixtures.image(Fixtures.higherHalf)
    #expect(image.bytes(atVirtual: LinearAddress(0x200000), count: 3) == [0x0F, 0x22, 0xE0])
    #expect(image.bytes(atPhysical: PhysicalAddress(0x20100E), count: 2) == [0x90, 0xCC])
    #expect(image.bytes(atVirtual: LinearAddress(0xFFFF_FFFF_8020_2000), count: 3) == [7, 0, 0])
    #expect(image.bytes(atPhysical: PhysicalAddress(0x20000F), count: 15) == [0xF4])
    #expect(image.bytes(atPhysical: PhysicalAddress(0x202000), count: .max).count == 0xB0)
    #expect(image.bytes(atPhysical: PhysicalAddress(0x203000), count: 1) == [])
    #expect(image.bytes(atVirtual: LinearAddress(.max), count: 15) == [])
    #expect(image.bytes(atVirtual: LinearAddress(0x200000), count: -1) == [])
  }

  @Test func findsWhereControlRegistersAreWritten() throws {
    let image = try Fixtures.image(Fixtures.higherHalf)
    let sites = image.controlRegisterWriteSites(.cr0)
    #expect(sites.map(\.virtual.rawValue) == [0x200006, 0xFFFF_FFFF_8020_100C])
    #expect(sites.map(\.physical.rawValue) == [0x200006, 0x20100C])
    #expect(image.controlRegisterWriteSites(.cr4).map(\.physical.rawValue) == [0x200003])
    #expect(image.controlRegisterWriteSites(.cr3).isEmpty)
    #expect(image.controlRegisterWriteSites(.cr0, limit: 1).count == 1)
    let guest = try Fixtures.image(Fixtures.oneGiBPages)
    #expect(guest.controlRegisterWriteSites(.cr0).map(\.physical.rawValue) == [0x10006D])
  }

  @Test func isReadFromSeveralThreadsAtOnce() async throws {
    let image = try Fixtures.image(Fixtures.oneGiBPages)
    await withTaskGroup(of: String?.self) { group in
      for _ in 0..<32 {
        group.addTask { image.sourceLine(at: LinearAddress(0x10006D))?.description }
      }
      for await line in group { #expect(line == "/src/guest.asm:35") }
    }
  }
}

@Suite struct ImageAsLoadedTests {
  @Test func holdsTheSegmentsAtTheirPhysicalAddresses() throws {
    let memory = ImageAsLoaded(try Fixtures.image(Fixtures.higherHalf))
    #expect(try memory.loadUInt32(at: PhysicalAddress(0x200003)) == 0x66C1_220F)
    #expect(try memory.loadUInt64(at: PhysicalAddress(0x202000)) == 7)
  }

  @Test(
    arguments: [
      (0x20_000C, 0x20_0010, .notCaptured), (0x20_20AC, 0x20_20B0, .notCaptured),
      (0xFFFF_FFFF_FFFF_FFFC, 0xFFFF_FFFF_FFFF_FFFC, .notCaptured), (0, 0, .notCaptured),
    ] as [(UInt64, UInt64, UnavailableMemory.Reason)])
  func doesNotMakeUpTheRest(address: UInt64, missing: UInt64, reason: UnavailableMemory.Reason) throws {
    let memory = ImageAsLoaded(try Fixtures.image(Fixtures.higherHalf))
    #expect(throws: UnavailableMemory(address: PhysicalAddress(missing), reason: reason)) {
      try memory.loadUInt64(at: PhysicalAddress(address))
    }
  }
}
