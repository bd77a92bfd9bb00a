import FileBuilding
import Files
import GuestMemory
import QEMU
import SystemPackage
import Testing
import X86

/// Dumps of a guest that Debian's QEMU runs, in each format that it can write.
@Suite struct QEMUDumpTests {
  /// A guest that stands still.
  enum Guest: CaseIterable, Sendable {
    /// Long mode with 1 GiB pages; the other vCPU waits in protected mode, where SeaBIOS left it.
    case longMode
    /// The first vCPU before its first instruction.
    case reset
    /// A machine of another layout, in which nothing but RAM and the ROM is.
    case microvm

    func start() throws -> DumpingQEMU? {
      switch self {
      case .longMode:
        let image = recording("one-gib-pages/guest.elf").string
        let qemu = try DumpingQEMU(["-cpu", "Haswell,+pdpe1gb", "-smp", "2", "-m", "24", "-kernel", image])
        try qemu?.stop { $0.count == 2 && $0[0].mode == .long64 && $0.allSatisfy { $0.isHalted == true } }
        return qemu
      case .reset: return try DumpingQEMU(["-m", "16", "-S"])
      case .microvm: return try DumpingQEMU(["-machine", "microvm", "-cpu", "Haswell", "-m", "16", "-S"])
      }
    }
  }

  /// The first piece of the other's memory in which they differ.
  private func difference(_ memory: some PhysicalMemory, _ other: MemoryDump) -> UInt64? {
    let size = 1 << 16
    for range in other.ranges {
      for start in stride(from: range.lowerBound.rawValue, to: range.upperBound.rawValue, by: size) {
        let count = Int(min(UInt64(size), range.upperBound.rawValue - start))
        guard case .success(let bytes) = read(other.memory, start, count), read(memory, start, count) == .success(bytes)
        else { return start }
      }
    }
    return nil
  }

  @Test(arguments: Guest.allCases) func allFormatsHoldTheSame(_ guest: Guest) throws {
    guard let qemu = try guest.start() else { return }
    let shown = try qemu.registers().map(\.asNoted)
    #expect(!shown.isEmpty)
    let core = try MemoryDump(FileInput(try #require(try qemu.dump("elf"))))
    #expect(core.problems == [])
    #expect(core.processors.map(\.asNoted) == shown)
    #expect(core.threads.map(\.rip) == shown.map(\.rip))
    #expect(core.threads.map(\.threadID) == shown.indices.map { UInt32($0 + 1) })

    for format in ["kdump-zlib", "kdump-lzo", "kdump-snappy", "kdump-raw-zlib", "kdump-raw-lzo", "kdump-raw-snappy"] {
      guard let path = try qemu.dump(format) else { continue }
      let dump = try MemoryDump(FileInput(path))
      let kind = try #require(KdumpCompression(rawValue: String(format.split(separator: "-").last ?? "")))
      #expect(dump.format == .kdump(kind, isFlattened: !format.contains("raw")))
      #expect(dump.problems == [])
      #expect(dump.processors == core.processors)
      #expect(dump.threads == core.threads)
      #expect(dump.ranges == core.ranges)
      #expect(difference(dump.memory, core) == nil)
    }

    let images = try core.ranges.map { range in
      let path = try qemu.save(range.lowerBound.rawValue..<range.upperBound.rawValue)
      return MemoryImage(try FileInput(path).memory, at: range.lowerBound)
    }
    let raw = try MemoryDump(images)
    #expect(raw.ranges == core.ranges)
    #expect(difference(raw.memory, core) == nil)

    // What paging leaves is the same at the same physical addresses.
    let mapped = try MemoryDump(FileInput(try #require(try qemu.dump("elf", paging: true))))
    #expect(difference(core.memory, mapped) == nil)
    #expect(mapped.processors == core.processors)
    #expect(guest != .longMode || mapped.problems.map(\.what).contains { $0.contains("without paging") })
  }

  @Test func walksPageTablesInADump() throws {
    guard let qemu = try Guest.longMode.start() else { return }
    for format in ["elf", "kdump-zlib"] {
      let dump = try MemoryDump(FileInput(try #require(try qemu.dump(format))))
      let processor = try #require(dump.processors.first)
      // The entry that maps the first GiB: present, writable, accessed, dirty, a large page.
      let table = try dump.memory.loadUInt64(at: PhysicalAddress(processor.cr3)) & ~0xFFF
      #expect(try dump.memory.loadUInt64(at: PhysicalAddress(table)) & 0x83 == 0x83)
    }
  }
}
