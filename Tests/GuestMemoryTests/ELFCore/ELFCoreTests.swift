import FileBuilding
import Files
import GuestMemory
import Testing
import X86

extension MemoryDump {
  /// A dump of these bytes.
  init(bytes: [UInt8]) throws {
    try self.init(FileInput(memory: MappedMemory.holding(bytes), problem: nil))
  }

  var rangeTexts: [String] {
    ranges.map { "\($0.lowerBound.rawValue.hexadecimal)-\($0.upperBound.rawValue.hexadecimal)" }
  }
}

/// Bytes that tell their place.
func pattern(_ count: Int, from start: Int = 0) -> [UInt8] {
  (start..<start + count).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
}

@Suite struct ELFCoreTests {
  @Test(arguments: [true, false], [true, false]) func readsMemoryAndRegisters(is64: Bool, hasSection: Bool) throws {
    var builder = ELFCoreBuilder(is64: is64)
    builder.hasSection = hasSection
    builder.notes.addThreadStatus(1)
    builder.notes.add("VMCOREINFO", 0, [1, 2, 3])
    builder.notes.add(distinctState)
    builder.add(0, pattern(0x1000))
    builder.add(0x2000, pattern(0x800))
    builder.add(0x2800, pattern(0x800))
    let dump = try MemoryDump(bytes: builder.build())
    #expect(dump.format == .elfCore(bits: is64 ? 64 : 32))
    #expect("\(dump.format)" == (is64 ? "64-bit ELF core" : "32-bit ELF core"))
    #expect(dump.problems == [])
    #expect(dump.rangeTexts == ["0x0-0x1000", "0x2000-0x3000"])
    #expect(dump.processors == [distinctState])
    #expect(read(dump.memory, 0, 0x1000) == .success(pattern(0x1000)))
    #expect(read(dump.memory, 0x27FC, 8) == .success(pattern(4, from: 0x7FC) + pattern(4)))
    #expect(read(dump.memory, 0xFFC, 8) == missing(0x1000))
    #expect(read(dump.memory, 0x1000, 8) == missing(0x1000))
    #expect(read(dump.memory, 0x2FFF, 2) == missing(0x3000))
    #expect(read(dump.memory, .max, 8) == missing(.max))
    #expect(read(dump.memory, 0x1000, 0) == .success([]))
  }

  @Test func readsThreadStatusOfEitherMachine() throws {
    var builder = ELFCoreBuilder()
    builder.notes.addThreadStatus(7)
    builder.notes.addThreadStatus32(8)
    builder.add(0, [1])
    let threads = try MemoryDump(bytes: builder.build()).threads
    try #require(threads.count == 2)
    // In the order of x86_64_user_regs_struct and x86_user_regs_struct.
    let (long, short) = (threads[0], threads[1])
    #expect((long.threadID, short.threadID) == (7, 8))
    #expect((long.generalPurpose.r15, long.generalPurpose.rdi, long.rip, long.rflags.rawValue) == (0, 14, 16, 18))
    #expect((long.generalPurpose.rsp, long.cs.rawValue, long.ss.rawValue) == (19, 17, 20))
    #expect((long.fsBase, long.gsBase, long.ds.rawValue, long.gs.rawValue) == (21, 22, 23, 26))
    #expect((short.generalPurpose.rbx, short.generalPurpose.rax, short.ds.rawValue, short.gs.rawValue) == (0, 6, 7, 10))
    #expect((short.rip, short.cs.rawValue, short.rflags.rawValue) == (12, 13, 14))
    #expect((short.generalPurpose.rsp, short.ss.rawValue, short.fsBase) == (15, 16, nil))
  }

  /// `kernel_gs_base` came later; anything shorter, or of another version, is none.
  @Test(arguments: [(1, 440, true), (1, 432, true), (1, 431, false), (2, 440, false), (1, 0, false)])
  func takesOnlyQEMUsOwnNotes(version: UInt32, size: Int, isGood: Bool) throws {
    var builder = ELFCoreBuilder()
    builder.notes.add(distinctState, version: version, size: size)
    builder.notes.add(distinctState)
    builder.add(0, [1])
    let dump = try MemoryDump(bytes: builder.build())
    #expect(dump.processors.count == (isGood ? 2 : 1))
    #expect(dump.problems.isEmpty == isGood)
  }

  /// More bytes in memory than in the file are not zeros.
  @Test func makesUpNothingForWhatIsNotInTheFile() throws {
    var builder = ELFCoreBuilder()
    builder.add(0x1000, [1, 2, 3], memorySize: 0x1000)
    // Outside of what was to be dumped: no contents, and an offset of -1.
    builder.segments.append(.init(address: 0x8000, contents: [], memorySize: 0x1000, offset: .max))
    let dump = try MemoryDump(bytes: builder.build())
    #expect(dump.rangeTexts == ["0x1000-0x1003"])
    #expect(read(dump.memory, 0x1000, 4) == missing(0x1003))
    #expect(dump.problems.map(\.what).filter { $0.contains("without paging") }.count == 1)
  }

  /// With `paging` each virtual mapping has a segment, several of the same memory.
  @Test func takesOverlappingSegmentsThatAgree() throws {
    var builder = ELFCoreBuilder()
    builder.add(0x1000, pattern(0x3000))
    _ = builder.build()
    let start = UInt64(64 + 3 * 56)
    builder.segments.append(.init(address: 0x2000, contents: pattern(0x1000), offset: start + 0x1000))
    let dump = try MemoryDump(bytes: builder.build())
    #expect(dump.problems == [])
    #expect(dump.rangeTexts == ["0x1000-0x4000"])
    #expect(read(dump.memory, 0x1000, 0x3000) == .success(pattern(0x3000)))
  }

  @Test func saysWhereSegmentsDisagree() throws {
    var builder = ELFCoreBuilder()
    builder.add(0x2000, [1, 1, 1, 1])
    builder.add(0x1FFE, [2, 2, 2, 2, 2, 2, 2, 2])
    let dump = try MemoryDump(bytes: builder.build())
    #expect(read(dump.memory, 0x1FFE, 8) == .success([2, 2, 1, 1, 1, 1, 2, 2]))
    #expect(
      dump.problems.map(\.what) == [
        "two segments give different contents for physical memory at 0x2000; that of the first is used"
      ])
  }

  @Test(arguments: [true, false]) func readsMoreSegmentsThanThePlainHeadCanCount(is64: Bool) throws {
    var builder = ELFCoreBuilder(is64: is64)
    builder.hasSection = true
    for number in 0..<70_000 as Range<UInt64> { builder.add(number * 2, [UInt8(truncatingIfNeeded: number)]) }
    let dump = try MemoryDump(bytes: builder.build())
    #expect(dump.problems == [])
    #expect(dump.ranges.count == 70_000)
    #expect(read(dump.memory, 139_998, 1) == .success([UInt8(truncatingIfNeeded: 69_999)]))
    #expect(read(dump.memory, 139_999, 1) == missing(139_999))
  }

  @Test func refusesWhatIsNoMachinesCore() throws {
    var builder = ELFCoreBuilder()
    builder.add(0, [1])
    let plain = builder.build()
    #expect(isDump(plain))

    var process = builder
    process.notes.add("CORE", 3, [UInt8](repeating: 0, count: 136))
    #expect(refusal(of: process.build())?.what.hasPrefix("the core of a process") == true)
    // QEMU's own notes prove the machine's, whatever else is there.
    process.notes.add(distinctState)
    #expect(refusal(of: process.build()) == nil)

    var arm = builder
    arm.machine = 183
    #expect(refusal(of: arm.build())?.offset == 18)

    var executable = builder
    executable.type = 2
    let kernel = executable.build()
    #expect(!isDump(kernel))
    #expect(refusal(of: kernel)?.what.hasPrefix("not a dump") == true)

    var empty = ELFCoreBuilder()
    #expect(refusal(of: empty.build())?.what.hasPrefix("an ELF core without memory") == true)
    for bytes in [[], [0x7F], Array("makedumpfil".utf8), Array("#!/bin/sh".utf8)] as [[UInt8]] {
      #expect(!isDump(bytes))
      #expect(refusal(of: bytes)?.offset == 0)
    }
  }

  @Test func refusesAddressesThatNoProcessorHas() throws {
    var builder = ELFCoreBuilder()
    builder.add(0xF_FFFF_FFFF_FFFE, [1, 2])
    builder.add(0xF_FFFF_FFFF_FFFF, [1, 2])
    builder.add(.max, [3])
    let dump = try MemoryDump(bytes: builder.build())
    #expect(dump.rangeTexts == ["0xffffffffffffe-0x10000000000000"])
    #expect(read(dump.memory, 0xF_FFFF_FFFF_FFFE, 3) == missing(0x10_0000_0000_0000))
    #expect(dump.problems.count == 2)
  }

  private func isDump(_ bytes: [UInt8]) -> Bool { unsafe MemoryDump.isDump(bytes.span.bytes) }

  private func refusal(of bytes: [UInt8]) -> FileError? {
    do {
      _ = try MemoryDump(bytes: bytes)
      return nil
    } catch {
      return error as? FileError
    }
  }
}
