import FileBuilding
import Files
import GuestMemory
import SeededRandom
import Testing
import X86

/// A page that compresses well and is like no other.
func page(_ number: UInt64) -> [UInt8] {
  [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 4080) + pattern(16, from: Int(number))
}

@Suite struct KdumpTests {
  @Test(arguments: KdumpBuilder.all) func readsMemoryAndRegisters(_ variant: KdumpBuilder) throws {
    var random = SeededGenerator(seed: 5)
    var builder = variant
    builder.notes.addThreadStatus(1)
    builder.notes.add(distinctState)
    let numbers: [UInt64] = [0, 1, 3, 511, 512, 513, 1000, 1536, 40_000]
    for number in numbers { builder.pages[number] = page(number) }
    // Does not get smaller.
    builder.pages[3] = (0..<4096).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let dump = try MemoryDump(bytes: builder.build())
    #expect(dump.format == .kdump(variant.compression, isFlattened: variant.isFlattened))
    #expect(dump.problems == [])
    #expect(
      dump.rangeTexts == [
        "0x0-0x2000", "0x3000-0x4000", "0x1ff000-0x202000", "0x3e8000-0x3e9000", "0x600000-0x601000",
        "0x9c40000-0x9c41000",
      ])
    #expect(dump.processors == [distinctState])
    #expect(dump.threads.map(\.threadID) == [1])
    for number in numbers.shuffled(using: &random) {
      #expect(read(dump.memory, number << 12, 4096) == .success(builder.pages[number] ?? []), "page \(number)")
    }
    #expect(read(dump.memory, 0xFFE, 4) == .success(page(0).suffix(2) + page(1).prefix(2)))
    #expect(read(dump.memory, 0x1FFF, 2) == missing(0x2000))
    #expect(read(dump.memory, 0x2000, 1) == missing(0x2000))
    #expect(read(dump.memory, 0x9C4_1000, 1) == missing(0x9C4_1000))
    #expect(read(dump.memory, .max, 2) == missing(.max))
    #expect(read(dump.memory, 0x2000, 0) == .success([]))
  }

  /// More pages than the cache has places, from several threads.
  @Test func readsPagesAgainAfterOthers() async throws {
    var builder = KdumpBuilder()
    builder.compression = .lzo
    for number in 0..<3000 as Range<UInt64> where number % 3 != 0 { builder.pages[number] = page(number) }
    let dump = try MemoryDump(bytes: builder.build())
    await withTaskGroup { group in
      for seed in 0..<4 as Range<UInt64> {
        group.addTask {
          var random = SeededGenerator(seed: seed)
          for _ in 0..<4000 {
            let number = random.next() % 3000
            let expected = number % 3 == 0 ? missing(number << 12) : .success(Array(page(number)[4078..<4090]))
            #expect(read(dump.memory, number << 12 + (number % 3 == 0 ? 0 : 4078), 12) == expected)
          }
        }
      }
    }
  }

  /// Before version 6 the number of pages has 32 bits, before version 4 there are no notes.
  @Test(arguments: [true, false], [1, 2, 3, 4, 5, 6]) func readsEachVersion(is64: Bool, version: UInt32) throws {
    var builder = KdumpBuilder()
    builder.is64 = is64
    builder.version = version
    builder.notes.add(distinctState)
    for number in 0..<3 as Range<UInt64> { builder.pages[number] = page(number) }
    builder.part = version >= 2 ? 1..<3 : nil
    let dump = try MemoryDump(bytes: builder.build())
    #expect(dump.processors.count == (version >= 4 ? 1 : 0))
    #expect(dump.rangeTexts == [version >= 2 ? "0x1000-0x3000" : "0x0-0x3000"])
    #expect(read(dump.memory, 0x1FFF, 2) == .success([page(1)[4095], page(2)[0]]))
    #expect(dump.problems.map(\.what).contains { $0.contains("--reassemble") } == (version >= 2))
  }

  /// QEMU names x86_64 in 32-bit heads, too; makedumpfile -d 0 nothing at all.
  @Test(arguments: ["x86_64", "i686", ""], [true, false]) func readsWhateverTheMachineIsCalled(
    name: String, is64: Bool
  ) throws {
    var builder = KdumpBuilder()
    builder.machine = name
    builder.is64 = is64
    builder.pages = [1: page(1)]
    #expect(try read(MemoryDump(bytes: builder.build()).memory, 0x1000, 4096) == .success(page(1)))
  }

  @Test func takesWhatWasWrittenLast() throws {
    var builder = KdumpBuilder()
    builder.isFlattened = true
    builder.pages = [0: page(0), 1: page(1)]
    var file = ByteBuilder(.bigEndian)
    file.bytes = try builder.build().dropLast(16)
    let data = try #require(builder.boundaries.last)
    file.record(data + 4094, [1, 2, 3, 4])
    file.record(data + 4095, [9, 8])
    // Nothing, and the end.
    file.record(0, [])
    file.integer(UInt64.max)
    file.integer(UInt64.max)
    let dump = try MemoryDump(bytes: file.bytes)
    #expect(dump.problems == [])
    #expect(read(dump.memory, 0xFFE, 4) == .success([1, 9, 8, 4]))
    #expect(read(dump.memory, 0, 4094) == .success(Array(page(0)[..<4094])))
    #expect(read(dump.memory, 0x1002, 4094) == .success(Array(page(1)[2...])))
  }

  /// Records need not keep the file's parts together.
  @Test(arguments: [1, 7, 100, 5000, 1 << 20]) func readsRecordsOfAnySize(size: Int) throws {
    var builder = KdumpBuilder()
    builder.isFlattened = true
    builder.compression = .zlib
    builder.recordSize = size
    builder.notes.add(distinctState)
    builder.pages = [0: page(0), 5: page(5)]
    let dump = try MemoryDump(bytes: builder.build())
    #expect(dump.problems == [])
    #expect(dump.processors == [distinctState])
    #expect(read(dump.memory, 0x5000, 4096) == .success(page(5)))
  }

  /// A page of which a part is in no record is not zero there.
  @Test func makesUpNothingForALostRecord() throws {
    var builder = KdumpBuilder()
    builder.isFlattened = true
    builder.recordSize = 1000
    for number in 0..<3 as Range<UInt64> { builder.pages[number] = page(number) }
    var bytes = try builder.build()
    // The second record of page 1 says that it belongs elsewhere.
    let data = try #require(builder.boundaries.last)
    var record = ByteBuilder(.bigEndian)
    record.integer(UInt64(data + 5000))
    record.integer(UInt64(1000))
    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: record.bytes) })
    bytes[place + 4] = 1
    let memory = try #require(try MemoryDump(bytes: bytes).memory as? KdumpMemory)
    #expect(read(memory, 0, 4096) == .success(page(0)))
    #expect(read(memory, 0x1000, 1) == missing(0x1000))
    #expect(
      memory.problem(at: PhysicalAddress(0x1000))?.what.hasPrefix("the flattened dump lacks a page")
        == true)
    #expect(read(memory, 0x2000, 4096) == .success(page(2)))
  }

  /// Records far away make a short file seem long, and a size in it possible.
  @Test func believesNoSizeThatTheFileDoesNotHave() throws {
    func dump(_ offset: Int, _ contents: [UInt8]) throws -> MemoryDump {
      var builder = KdumpBuilder()
      builder.isFlattened = true
      builder.notes.add(distinctState)
      builder.pages = [0: page(0)]
      var file = ByteBuilder(.bigEndian)
      file.bytes = try builder.build().dropLast(16)
      file.record(1 << 60, [1])
      file.record(offset, contents)
      file.integer(UInt64.max)
      file.integer(UInt64.max)
      return try MemoryDump(bytes: file.bytes)
    }
    // The size of the notes.
    let notes = try dump(4096 + 56, [0, 0, 0, 0, 0, 0, 1, 0])
    #expect(notes.processors.isEmpty && notes.problems.count == 1)
    #expect(read(notes.memory, 0, 4096) == .success(page(0)))
    // The number of pages, which the bitmap bounds.
    #expect(try dump(4096 + 96, [0, 0, 0, 0, 0, 0, 1, 0]).rangeTexts == ["0x0-0x1000"])
    // The size of the bitmaps.
    #expect(
      throws: FileError("the flattened dump lacks the bitmap of the pages: copy it again, or dump the guest again")
    ) {
      _ = try dump(436, [0xFE, 0xFF, 0xFF, 0xFF])
    }
  }

  @Test func saysWhatIsMissingOfAnIncompleteDump() throws {
    var builder = KdumpBuilder()
    builder.status = 8
    builder.pages = [0: page(0)]
    builder.unwritten = [1]
    let dump = try MemoryDump(bytes: builder.build())
    #expect(
      dump.problems.map(\.what) == ["the dump is incomplete: its writer ran out of space; make room and dump again"])
    #expect(read(dump.memory, 0, 4096) == .success(page(0)))
    #expect(read(dump.memory, 0x1000, 1) == missing(0x1000))
  }

  @Test func saysWhyAPageCannotBeRead() throws {
    var builder = KdumpBuilder()
    builder.compression = .zlib
    builder.pages = [0: page(0), 1: page(1)]
    var bytes = try builder.build()
    let data = try #require(builder.boundaries.last)
    bytes[data] = 0
    let memory = try #require(try MemoryDump(bytes: bytes).memory as? KdumpMemory)
    #expect(read(memory, 0, 1) == missing(0))
    #expect(memory.problem(at: PhysicalAddress(0x123)) == FileError("zlib: the compressed data is damaged", at: data))
    #expect(memory.problem(at: PhysicalAddress(0x1000)) == nil)
    #expect(memory.problem(at: PhysicalAddress(0x2000)) == nil)
    #expect(read(memory, 0x1000, 4096) == .success(page(1)))
  }

  /// Flags that nobody has, sizes that no page has, and data that decompresses to something else.
  @Test func refusesImpossiblePages() throws {
    let change: [(Int, UInt32, String)] = [
      (12, 0x10, "a page is compressed in a way that is not known (flags 16)"),
      (12, 3, "a page is compressed in a way that is not known (flags 3)"),
      (12, 0, "a page takes"), (8, 4097, "a page takes 4097 bytes, which cannot be"), (8, 5, "zlib:"), (8, 0, "zlib:"),
      (4, 1, "a page lies beyond the end of the file"),
    ]
    for (field, value, problem) in change {
      var builder = KdumpBuilder()
      builder.compression = .zlib
      builder.pages = [0: page(0)]
      var bytes = try builder.build()
      let place = builder.boundaries[builder.boundaries.count - 2] + field
      for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
      let memory = try #require(try MemoryDump(bytes: bytes).memory as? KdumpMemory)
      #expect(read(memory, 0, 1) == missing(0))
      #expect(memory.problem(at: PhysicalAddress(0))?.what.hasPrefix(problem) == true, "\(problem)")
    }
  }

  @Test func refusesOtherDumps() throws {
    var builder = KdumpBuilder()
    builder.pages = [0: page(0)]
    let plain = try builder.build()
    var diskdump = plain
    diskdump.replaceSubrange(0..<8, with: Array("DISKDUMP".utf8))
    #expect(throws: FileError("a diskdump, which Linux of RHEL 3 and 4 wrote and QEMU never did", at: 0)) {
      try MemoryDump(bytes: diskdump)
    }
    builder.machine = "aarch64"
    #expect(throws: FileError("a dump of a machine \"aarch64\"; Inquest reads x86 only", at: 272)) {
      try MemoryDump(bytes: builder.build())
    }
    builder.machine = "x86_64"
    builder.blockSize = 65536
    #expect(throws: FileError("the dump does not have blocks of 4096 bytes, x86's pages", at: 428)) {
      try MemoryDump(bytes: builder.build())
    }
    builder.blockSize = 4096
    builder.pages = [:]
    #expect(throws: FileError("a kdump without a page; dump the guest again: dump-guest-memory FILE")) {
      try MemoryDump(bytes: builder.build())
    }
  }
}
