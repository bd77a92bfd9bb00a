import SeededRandom
import Testing
import X86

@testable import GuestImage

@Suite struct HostileImageTests {
  static let elf64 = ELFBytes.header(imageClass: 2, machine: 62, type: 2)

  @Test(
    arguments: [
      ("empty", [], .empty),
      ("text", Array("hello, world".utf8), .notELF(.unknown)),
      ("gzip", [0x1F, 0x8B, 8, 0], .notELF(.compressed(by: "gzip"))),
      ("PE", Array("MZ".utf8) + ELFBytes.zeroes(100), .notELF(.portableExecutable)),
      (
        "bzImage", Array("MZ".utf8) + ELFBytes.zeroes(508) + [0x55, 0xAA, 0xEB, 0x66] + Array("HdrS".utf8),
        .notELF(.linuxBootImage)
      ),
      ("boot sector", ELFBytes.zeroes(510) + [0x55, 0xAA], .notELF(.bootSector)),
      ("only the magic number", [0x7F, 0x45, 0x4C, 0x46], .truncated(part: "ELF header", needed: 20, fileSize: 4)),
      ("half a header", Array(elf64.prefix(40)), .truncated(part: "ELF header", needed: 64, fileSize: 40)),
      (
        "class 3", ELFBytes.header(imageClass: 3, machine: 62, type: 2),
        .unsupported(field: "class (EI_CLASS)", value: 3, offset: 4)
      ),
      (
        "AArch64", ELFBytes.header(imageClass: 2, machine: 183, type: 2),
        .unsupported(field: "machine (e_machine)", value: 183, offset: 18)
      ),
      (
        "object file", ELFBytes.header(imageClass: 2, machine: 62, type: 1),
        .notExecutable(kind: "a relocatable object (ET_REL); link it first")
      ),
      ("core", ELFBytes.header(imageClass: 2, machine: 62, type: 4), .notExecutable(kind: "a core dump (ET_CORE)")),
      ("no segments", elf64, .nothingToLoad),
    ] as [(String, [UInt8], ImageError)])
  func saysWhatAFileIsInstead(name: String, file: [UInt8], error: ImageError) {
    #expect(throws: error) { try GuestImage(file) }
  }

  @Test func keepsTheRestOfAFileThatIsCutOff() throws {
    let file = try Fixtures.bytes(Fixtures.higherHalf)
    let image = try GuestImage(Array(file.prefix(0x108)))
    #expect(
      image.problems == [
        .truncated(part: "segment 1", needed: 0x150, fileSize: 0x108),
        .truncated(part: "segment 2", needed: 0x151, fileSize: 0x108),
      ])
    #expect(image.bytes(atPhysical: PhysicalAddress(0x200000), count: 100).count == 16)
    #expect(image.bytes(atPhysical: PhysicalAddress(0x201000), count: 100).count == 8)
    #expect(image.bytes(atPhysical: PhysicalAddress(0x202000), count: 1) == [])
    #expect(image.bytes(atPhysical: PhysicalAddress(0x202001), count: 1) == [0])
    #expect(throws: UnavailableMemory(address: PhysicalAddress(0x201008), reason: .notCaptured)) {
      try ImageAsLoaded(image).loadUInt64(at: PhysicalAddress(0x201004))
    }
  }

  @Test func leavesOutASegmentBeyondTheAddressSpace() throws {
    var file = try Fixtures.bytes(Fixtures.higherHalf)
    for index in 64 + 56 + 40..<64 + 56 + 48 { file[index] = 0xFF }
    let image = try GuestImage(file)
    #expect(image.segments.count == 2)
    #expect(
      image.problems == [
        .malformed(part: "segment 1", reason: "it reaches past the top of the address space")
      ])
  }

  @Test(arguments: [Fixtures.oneGiBPages, Fixtures.higherHalf, Fixtures.inlined])
  func survivesEveryPrefix(fixture: String) throws {
    let file = try Fixtures.bytes(fixture)
    var images = 0
    for count in 0..<file.count {
      guard let image = try? GuestImage(file.span.extracting(first: count)) else { continue }
      exercise(image)
      images += 1
    }
    #expect(images > file.count / 2)
  }

  @Test(arguments: [Fixtures.oneGiBPages, Fixtures.higherHalf, Fixtures.inlined])
  func survivesFlippedBytes(fixture: String) throws {
    let file = try Fixtures.bytes(fixture)
    var random = SeededGenerator(seed: 20)
    for _ in 0..<2000 {
      var broken = file
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        // Most of the file is code and padding; its tables are at both ends.
        let index =
          Bool.random(using: &random)
          ? Int.random(in: 0..<256, using: &random) : Int.random(in: file.count * 2 / 5..<file.count, using: &random)
        broken[index] = UInt8.random(in: 0...255, using: &random)
      }
      guard let image = try? GuestImage(broken) else { continue }
      exercise(image)
    }
  }

  /// Asks everything that reads the file; only a trap fails.
  private func exercise(_ image: GuestImage) {
    for address in [0, 0x10_0013, 0x10_003A, 0x10_006D, 0x10_1008, 0x20_0003, 0xFFFF_FFFF_8020_1022, .max] as [UInt64] {
      let linear = LinearAddress(address)
      _ = image.place(of: address)
      _ = image.symbol(containing: linear)
      #expect(image.frames(at: linear).count <= 64)
      _ = image.bytes(atVirtual: linear, count: 64)
      _ = try? ImageAsLoaded(image).loadUInt64(at: PhysicalAddress(address))
    }
    #expect(image.controlRegisterWriteSites(.cr0).count <= 64)
  }
}

@Suite struct SymbolNameTests {
  @Test(arguments: [
    ("kernel_main", "kernel_main"),
    ("_ZN3vga3putEjc", "vga::put(unsigned int, char)"),
    ("_ZN4core9panicking5panic17h0123456789abcdefE", "core::panicking::panic::h0123456789abcdef"),
    ("$s4main5startyyF", "main.start() -> ()"),
    ("$e4main5startyyF", "main.start() -> ()"),
    ("_Z", "_Z"), ("$s", "$s"), ("", ""),
  ])
  func readsManglings(mangled: String, name: String) {
    #expect(SymbolName.demangled(mangled) == name)
  }
}

/// The start of an ELF file that has nothing else.
enum ELFBytes {
  static func zeroes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

  static func header(imageClass: UInt8, machine: UInt8, type: UInt8) -> [UInt8] {
    var bytes: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, imageClass, 1, 1] + zeroes(57)
    bytes[16] = type
    bytes[18] = machine
    bytes[20] = 1
    bytes[52] = 64
    return bytes
  }
}
