import FileBuilding
import Files
import GuestMemory
import SeededRandom
import Testing
import X86

@Suite struct MemoryImageTests {
  private func image(_ bytes: [UInt8], at base: UInt64) throws -> MemoryImage {
    MemoryImage(try MappedMemory.holding(bytes), at: PhysicalAddress(base))
  }

  @Test func readsBothPartsOfAGuestsMemory() throws {
    let dump = try MemoryDump([image(pattern(0x2000), at: 0), image(pattern(0x1000, from: 77), at: 1 << 32)])
    #expect(dump.format == .rawImage)
    #expect("\(dump.format)" == "raw image")
    #expect(dump.rangeTexts == ["0x0-0x2000", "0x100000000-0x100001000"])
    #expect(read(dump.memory, 0, 0x2000) == .success(pattern(0x2000)))
    #expect(read(dump.memory, 0x1_0000_0FF0, 16) == .success(pattern(16, from: 77 + 0xFF0)))
    #expect(read(dump.memory, 0x1FFF, 2) == missing(0x2000))
    #expect(dump.processors.isEmpty && dump.threads.isEmpty && dump.problems.isEmpty)
  }

  @Test func readsOnWhereOneImageMeetsTheNext() throws {
    let dump = try MemoryDump([image([3, 4], at: 0x1002), image([1, 2], at: 0x1000), image([], at: 0x1004)])
    #expect(dump.rangeTexts == ["0x1000-0x1004"])
    #expect(read(dump.memory, 0x1000, 4) == .success([1, 2, 3, 4]))
    #expect(read(dump.memory, 0x1001, 4) == missing(0x1004))
  }

  @Test func refusesWhatNoAddressReaches() throws {
    #expect(try read(MemoryDump([image([1], at: (1 << 52) - 1)]).memory, (1 << 52) - 1, 1) == .success([1]))
    for base in [(1 << 52) - 1, 1 << 52, .max] as [UInt64] {
      #expect(throws: FileError.self) { try MemoryDump([image([1, 2], at: base)]) }
    }
  }

  /// Images that overlap in every way, against one byte after the other taken from the first image that has it.
  @Test func takesEachByteFromTheFirstImageThatHasIt() throws {
    var random = SeededGenerator(seed: 11)
    for round in 0..<300 {
      let count = Int.random(in: 1...12, using: &random)
      var expected = [UInt8?](repeating: nil, count: 64)
      var images: [MemoryImage] = []
      for number in 0..<count {
        let base = Int.random(in: 0..<48, using: &random)
        let size = Int.random(in: 0...(round % 3 == 0 ? 3 : 16), using: &random)
        let bytes = (0..<size).map { UInt8(16 * number % 256 + $0) }
        images.append(try image(bytes, at: UInt64(base)))
        for (place, byte) in zip(base..<64, bytes) where expected[place] == nil { expected[place] = byte }
      }
      let memory = try FileMemory(images)
      for start in 0..<64 as Range<UInt64> {
        for size in [1, 8] {
          let places = expected[Int(start)..<min(Int(start) + size, 64)]
          let gap = places.firstIndex(of: nil)
          let result =
            gap.map { missing(UInt64($0)) }
            ?? (Int(start) + size > 64 ? missing(64) : .success(places.compactMap(\.self)))
          #expect(read(memory, start, size) == result, "round \(round), \(size) bytes at \(start)")
        }
      }
      let contained = memory.ranges.flatMap { $0.lowerBound.rawValue..<$0.upperBound.rawValue }
      #expect(contained == expected.indices.filter { expected[$0] != nil }.map(UInt64.init))
    }
  }
}
