import FileBuilding
import Files
import GuestMemory
import SeededRandom
import Testing
import X86

/// Dumps that are cut off or altered: nothing traps or hangs, what is whole is read, and the errors say where.
@Suite struct DumpDamageTests {
  private static let addresses: [UInt64] = [0, 0xFFC, 0x1000, 0x1FFF, 0x2000, 0x3000, 0x20_0000, 1 << 51, .max]

  private static func core(is64: Bool, hasSection: Bool) -> ELFCoreBuilder {
    var builder = ELFCoreBuilder(is64: is64)
    builder.hasSection = hasSection
    builder.notes.addThreadStatus(1)
    builder.notes.add(distinctState)
    builder.add(0, pattern(0x180))
    builder.add(0x1000, pattern(0x100))
    return builder
  }

  /// All twenty kinds would take a minute: each compression once, in one of the forms.
  private static let dumps: [KdumpBuilder] = KdumpBuilder.all.enumerated().compactMap { index, variant in
    guard index % 4 == index / 4 % 4 else { return nil }
    var builder = variant
    builder.notes.addThreadStatus(1)
    builder.notes.add(distinctState)
    for number in [0, 1, 3, 513] as [UInt64] { builder.pages[number] = page(number) }
    return builder
  }

  /// Uses all that a dump gives. It must say the same each time.
  private func use(_ dump: MemoryDump) {
    #expect(zip(dump.ranges, dump.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
    #expect(dump.ranges.allSatisfy { !$0.isEmpty })
    for address in Self.addresses + dump.ranges.prefix(3).map(\.lowerBound.rawValue) {
      let result = read(dump.memory, address, 16)
      #expect(result == read(dump.memory, address, 16))
      if case .failure(let error) = result { #expect(error.reason == .notCaptured) }
      _ = (dump.memory as? KdumpMemory)?.problem(at: PhysicalAddress(address))
    }
  }

  /// What is read of a dump that lost something is what the whole one has there.
  private func expect(_ part: MemoryDump, isPartOf whole: MemoryDump, _ label: String) {
    use(part)
    for address in Self.addresses {
      if case .success(let bytes) = read(part.memory, address, 4) {
        #expect(read(whole.memory, address, 4) == .success(bytes), "\(label): \(address)")
      }
    }
    #expect(whole.processors.starts(with: part.processors), "\(label)")
  }

  @Test(arguments: [true, false], [true, false]) func readsWhatIsLeftOfACutCore(is64: Bool, hasSection: Bool) throws {
    var builder = Self.core(is64: is64, hasSection: hasSection)
    let bytes = builder.build()
    let whole = try MemoryDump(bytes: bytes)
    for cut in bytes.indices {
      do {
        let part = try MemoryDump(bytes: Array(bytes[..<cut]))
        #expect(!part.problems.isEmpty, "cut at \(cut)")
        expect(part, isPartOf: whole, "cut at \(cut)")
      } catch let error as FileError {
        #expect(error.offset.map { $0 <= cut } ?? false, "cut at \(cut): \(error)")
      }
    }
    // All but the last byte.
    let part = try MemoryDump(bytes: bytes.dropLast())
    #expect(part.processors == whole.processors)
    #expect(read(part.memory, 0x1000, 0x100) == missing(0x10FF))
  }

  @Test(arguments: dumps) func readsWhatIsLeftOfACutKdump(_ variant: KdumpBuilder) throws {
    var builder = variant
    let bytes = try builder.build()
    let whole = try MemoryDump(bytes: bytes)
    var cuts = Set(builder.boundaries.flatMap { [$0 - 1, $0, $0 + 1, $0 + 17] })
    cuts.formUnion(stride(from: 0, to: bytes.count, by: 211))
    cuts.insert(bytes.count - 1)
    for cut in cuts.sorted() where cut >= 0 && cut < bytes.count {
      do {
        let part = try MemoryDump(bytes: Array(bytes[..<cut]))
        #expect(!part.problems.isEmpty, "cut at \(cut)")
        expect(part, isPartOf: whole, "cut at \(cut)")
      } catch let error as FileError {
        #expect(error.offset.map { $0 <= cut } ?? false, "cut at \(cut): \(error)")
      }
    }
  }

  /// Each byte, one after the other, set to values that lengths, offsets and counts hate.
  private func alterEachByte(of whole: [UInt8], in places: [Range<Int>]) {
    for place in places.joined() {
      for value in [0, 0x7F, 0x80, 0xFF, whole[place] &+ 1] as Set<UInt8> where value != whole[place] {
        var bytes = whole
        bytes[place] = value
        if let dump = try? MemoryDump(bytes: bytes) { use(dump) }
      }
    }
  }

  @Test(arguments: [true, false], [true, false]) func survivesAnyAlteredByteOfACore(is64: Bool, hasSection: Bool) throws
  {
    var builder = Self.core(is64: is64, hasSection: hasSection)
    let bytes = builder.build()
    alterEachByte(of: bytes, in: [0..<bytes.count])
  }

  @Test(arguments: dumps) func survivesAnyAlteredByteOfAKdump(_ variant: KdumpBuilder) throws {
    var builder = variant
    let bytes = try builder.build()
    // In a flattened file the heads of its records are what is new, in the other all heads, and some data.
    let places =
      variant.isFlattened
      ? [0..<64, 4096..<4130] + recordHeads(bytes)
      : [0..<16, 272..<280, 412..<450, 4096..<4210, 4580..<4640]
        + builder.boundaries.suffix(3).map { $0..<min($0 + 100, bytes.count) }
    alterEachByte(of: bytes, in: places)
  }

  private func recordHeads(_ bytes: [UInt8]) -> [Range<Int>] {
    var heads: [Range<Int>] = []
    var next = 4096
    while next + 16 <= bytes.count {
      heads.append(next..<next + 16)
      let size = bytes[next + 8..<next + 16].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
      guard size < 1 << 32 else { break }
      next += 16 + Int(size)
    }
    return heads
  }

  @Test func survivesRandomDamage() throws {
    var random = SeededGenerator(seed: 3)
    var builder = Self.core(is64: true, hasSection: true)
    var files = [builder.build()]
    for var dump in Self.dumps { files.append(try dump.build()) }
    for whole in files {
      for _ in 0..<100 {
        var bytes = whole
        for _ in 0...Int.random(in: 0..<20, using: &random) {
          bytes[Int.random(in: 4..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        // Nearly all of a kdump is bitmap: the heads get their share.
        for _ in 0..<3 {
          bytes[4 + Int.random(in: 0..<min(640, bytes.count - 4), using: &random)] = UInt8.random(
            in: 0...255, using: &random)
        }
        if random.oneIn(3) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
        if let dump = try? MemoryDump(bytes: bytes) { use(dump) }
      }
    }
  }

  @Test func survivesGarbage() {
    var random = SeededGenerator(seed: 4)
    let heads: [[UInt8]] = [
      [], [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 62, 0],
      [0x7F, 0x45, 0x4C, 0x46, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 3, 0], Array("KDUMP   ".utf8),
      Array("DISKDUMP".utf8), Array("makedumpfile\0\0\0\0\0\0\0\0\0\0\0\u{1}\0\0\0\0\0\0\0\u{1}".utf8),
    ]
    for head in heads {
      for _ in 0..<500 {
        let count = Int.random(in: 0..<9000, using: &random)
        let bytes = head + (0..<count).map { _ in random.oneIn(2) ? 0 : UInt8.random(in: 0...255, using: &random) }
        if let dump = try? MemoryDump(bytes: bytes) { use(dump) }
      }
    }
  }
}
