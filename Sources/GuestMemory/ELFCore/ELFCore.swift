import Files
import X86

/// An ELF core of a machine: its memory as PT_LOADs, its registers as notes.
///
/// QEMU's `dump-guest-memory` writes one PT_LOAD for each block of RAM or ROM; with `paging` one for each virtual mapping,
/// whose p_paddr is right all the same (dump/dump.c, 7.2 and 10.2). Two things follow from how it does:
///
/// - An address without a PT_LOAD may hold memory. QEMU leaves out NVDIMMs, flash and the BARs of passed-through devices
///   (softmmu/memory_mapping.c: guest_phys_block_add_section, 7.2), and what `begin` and `length` exclude.
/// - Where p_filesz is less than p_memsz, the rest is not zeros as it would be in a program: with `paging` QEMU cuts a
///   mapping at the end of its first block, whatever follows (dump/dump.c: get_offset_range). A guest that maps its RAM
///   with a 1 GiB page so has 640 KiB in the dump (seen with 7.2). makedumpfile -E leaves out pages, whatever they held,
///   in this way, too (write_elf_pages_cyclic, 1.7.2).
///
/// So neither is known to hold anything, or nothing.
struct ELFCore {
  let header: ELFHeader
  let memory: FileMemory
  let notes: CoreNotes
  let problems: [FileError]

  init(_ file: MappedMemory) throws(FileError) {
    header = try ELFHeader(file.bytes)
    var notes = CoreNotes()
    var segments = MemorySegments(byteCount: file.byteCount)
    let missing = header.forEachSegment(file.bytes) { segment in
      switch segment.kind {
      case .load: segments.add(segment)
      case .note: notes.read(segment, file.bytes)
      case nil: break
      }
    }
    if notes.isOfProcess, notes.processors.isEmpty {
      throw FileError("the core of a process, not of a machine; QEMU makes one of a guest: dump-guest-memory FILE")
    }
    let runs = FileRuns(segments.runs)
    segments.check(runs)
    self.notes = notes
    problems = [missing].compactMap(\.self) + notes.problems + segments.problems
    guard !runs.runs.isEmpty else {
      throw problems.first ?? FileError("an ELF core without memory; make it again: dump-guest-memory FILE")
    }
    memory = FileMemory([file], runs)
  }
}

extension CoreNotes {
  /// Reads the notes of a segment, as far as the file holds them.
  fileprivate mutating func read(_ segment: ELFSegment, _ bytes: RawSpan) {
    let (range, problem) = segment.contents(in: bytes.byteCount)
    read(bytes.extracting(range), base: range.lowerBound)
    if let problem { problems.append(problem) }
  }
}

/// The memory that the PT_LOADs of a core give.
private struct MemorySegments {
  let byteCount: Int
  private(set) var runs: [FileRun] = []
  private(set) var problems: [FileError] = []
  /// How many segments have more bytes in memory than in the file.
  private var partialCount = 0

  init(byteCount: Int) { self.byteCount = byteCount }

  mutating func add(_ segment: ELFSegment) {
    // Not in the file at all: outside of the `begin` and `length` that were asked for.
    guard segment.fileSize > 0 else { return }
    let (range, problem) = segment.contents(in: byteCount)
    if let problem { problems.append(problem) }
    guard segment.fileSize <= segment.memorySize else {
      problems.append(FileError("a segment is larger in the file than in memory", at: segment.place))
      return
    }
    guard segment.physicalAddress < FileMemory.addressLimit,
      UInt64(range.count) <= FileMemory.addressLimit - segment.physicalAddress
    else {
      problems.append(
        FileError("a segment's physical address of more than 52 bits is none of an x86 processor", at: segment.place))
      return
    }
    if segment.fileSize < segment.memorySize { partialCount += 1 }
    runs.append(FileRun(address: segment.physicalAddress, count: UInt64(range.count), offset: range.lowerBound))
  }

  /// Looks at all segments together.
  mutating func check(_ runs: FileRuns) {
    if partialCount > 0 {
      problems.append(
        FileError(
          "\(partialCount) segments have only the first part of their memory in the dump; to have all, dump without "
            + "paging (-p) or filter (makedumpfile -d)"))
    }
    guard let address = runs.disagreement else { return }
    problems.append(
      FileError(
        "two segments give different contents for physical memory at \(address.hexadecimal); that of the first is used")
    )
  }
}
