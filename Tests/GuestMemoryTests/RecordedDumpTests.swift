import FileBuilding
import Files
import GuestMemory
import QEMU
import Testing
import X86

/// Dumps that QEMU and makedumpfile made of one guest: each gives the same registers, and the same memory as far as it
/// goes.
@Suite struct RecordedDumpTests {
  @Test(arguments: [
    ("halt.elf.gz", "64-bit ELF core", ["0x0-0x100000", "0xffff0000-0x100000000"]),
    ("halt.paging.elf.gz", "64-bit ELF core", ["0x0-0xc0000"]),
    ("halt.part.elf.gz", "64-bit ELF core", ["0x1000-0x4000"]),
    ("halt.kdump-zlib.gz", "kdump, zlib, flattened", ["0x0-0x100000", "0xffff0000-0x100000000"]),
    ("halt.makedumpfile-lzo.gz", "kdump, lzo", ["0x0-0x100000", "0xffff0000-0x100000000"]),
  ]) func givesWhatTheGuestHad(name: String, format: String, ranges: [String]) throws {
    let dump = try MemoryDump(FileInput(recording("memory-dumps/\(name)")))
    #expect("\(dump.format)" == format)
    #expect(dump.rangeTexts == ranges)
    #expect(dump.problems.isEmpty == !name.contains("paging"))

    let text = try String(
      decoding: ScratchFile.contents(of: recording("memory-dumps/halt.registers.txt")), as: UTF8.self)
    let shown = QEMULog.parse(text).compactMap {
      if case .registerDump(let dump) = $0.message { dump.state } else { nil }
    }
    #expect(shown.count == 2)
    #expect(dump.processors.map(\.asNoted) == shown.map(\.asNoted))
    #expect(dump.processors.map(\.mode) == [.long64, .real])
    #expect(dump.threads.map(\.rip) == [0xF_0082, 0xFFF0])

    // The guest's page tables: the PML4, the PDPT and the PD, whose entry has got its accessed bits.
    #expect(try dump.memory.loadUInt64(at: PhysicalAddress(0x1000)) == 0x2023)
    #expect(try dump.memory.loadUInt64(at: PhysicalAddress(0x2000)) == 0x3023)
    #expect(try dump.memory.loadUInt64(at: PhysicalAddress(0x3000)) & ~0x40 == 0xA3)

    let core = try MemoryDump(FileInput(recording("memory-dumps/halt.elf.gz")))
    for range in dump.ranges {
      let count = Int(range.upperBound.rawValue - range.lowerBound.rawValue)
      #expect(
        read(dump.memory, range.lowerBound.rawValue, count) == read(core.memory, range.lowerBound.rawValue, count))
    }
  }

  /// What was lost with the end of a compressed file is missing, and that is said.
  @Test func opensAFileThatIsCutOff() throws {
    let whole = try ScratchFile.contents(of: recording("memory-dumps/halt.elf.gz"))
    let file = try ScratchFile(Array(whole.dropLast(600)))
    let dump = try withExtendedLifetime(file) { try MemoryDump(FileInput(file.path)) }
    #expect(dump.problems.first?.what == "the compressed file ends early")
    #expect(dump.problems.count > 1)
    #expect(dump.processors.count == 2)
  }
}

extension ProcessorState {
  /// What a note shows of a register dump: no EFER, A20, SMM, HLT or debug registers, and under TCG flags of an earlier moment.
  var asNoted: ProcessorState {
    var state = self
    state.efer = nil
    state.isInSMM = nil
    state.isHalted = nil
    state.isAddressLine20Masked = nil
    state.debug = nil
    state.rflags.subtract([.carry, .parity, .adjust, .zero, .sign, .direction, .overflow])
    return state
  }
}
