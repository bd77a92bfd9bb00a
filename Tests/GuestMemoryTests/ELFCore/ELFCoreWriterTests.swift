import FileBuilding
import Files
import SystemPackage
import Testing
import X86

@testable import GuestMemory

@Suite("an ELF core that is written")
struct ELFCoreWriterTests {
  @Test("holds the pages there are, at their addresses, and no others")
  func pages() throws {
    var memory = SparseMemory()
    let addresses: [UInt64] = [0, 0x1000, 0xF000, 0x10000, 0x23000, 0xF_FFFF_FFFF_F000]
    for address in addresses {
      let page = [UInt8](repeating: UInt8(truncatingIfNeeded: address >> 12), count: 4096)
      memory.insert(page: page, at: PhysicalAddress(address))
    }
    let file = try ScratchFile()
    let descriptor = try FileDescriptor.open(file.path, .writeOnly)
    var writer = ELFCoreWriter(descriptor)
    try writer.append(PhysicalAddress(0), count: 0x40000, of: memory)
    try writer.append(PhysicalAddress(0xF_FFFF_FFFF_F000), count: 0x1000, of: memory)
    #expect(try writer.finish() == addresses.count * 4096)
    try descriptor.close()
    let dump = try MemoryDump(FileInput(file.path))
    #expect(dump.problems.isEmpty)
    #expect(
      dump.ranges.map { $0.lowerBound.rawValue..<$0.upperBound.rawValue }
        == [0..<0x2000, 0xF000..<0x11000, 0x23000..<0x24000, 0xF_FFFF_FFFF_F000..<0x10_0000_0000_0000])
    for address in addresses {
      #expect(
        try dump.memory.loadUInt64(at: PhysicalAddress(address)) == memory.loadUInt64(at: PhysicalAddress(address)))
    }
  }

  @Test("is a core, also without any memory")
  func empty() throws {
    let file = try ScratchFile()
    let descriptor = try FileDescriptor.open(file.path, .writeOnly)
    try #require(try ELFCoreWriter(descriptor).finish() == 0)
    try descriptor.close()
    #expect(throws: FileError.self) { try MemoryDump(FileInput(file.path)) }
  }
}

@Suite("memory that notes what is read of it")
struct RecordingMemoryTests {
  @Test("pages that were read whole, in part, across an edge; none that could not be read")
  func pages() throws {
    var source = SparseMemory()
    for address in [0x1000, 0x2000, 0x5000] as [UInt64] {
      source.insert(page: [UInt8](repeating: 1, count: 4096), at: PhysicalAddress(address))
    }
    let memory = RecordingMemory(source)
    _ = try memory.loadUInt64(at: PhysicalAddress(0x1FFC))
    _ = try memory.loadUInt32(at: PhysicalAddress(0x5000))
    #expect(throws: UnavailableMemory.self) { try memory.loadUInt64(at: PhysicalAddress(0x5FFC)) }
    #expect(memory.pages.map(\.rawValue) == [0x1000, 0x2000, 0x5000])
    #expect(!memory.isCut)
  }

  @Test("no more than the limit")
  func limit() throws {
    var source = SparseMemory()
    for number in 0..<4 as Range<UInt64> {
      source.insert(page: [UInt8](repeating: 1, count: 4096), at: PhysicalAddress(number * 4096))
    }
    let memory = RecordingMemory(source, limit: 2)
    for number in [0, 1, 0, 1] as [UInt64] { _ = try memory.loadUInt64(at: PhysicalAddress(number * 4096)) }
    #expect(!memory.isCut)
    _ = try memory.loadUInt64(at: PhysicalAddress(0x3000))
    #expect(memory.isCut)
    #expect(memory.pages.map(\.rawValue) == [0, 0x1000])
  }
}
