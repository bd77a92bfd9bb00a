import Files

/// The heads of a kdump-compressed file: `disk_dump_header` and `kdump_sub_header` (makedumpfile's diskdump_mod.h, 1.7.2;
/// QEMU's include/sysemu/dump.h, 7.2).
struct KdumpHeader {
  /// x86's; each block of the file has it, too.
  static let pageSize = 4096

  let compression: KdumpCompression?
  /// Whether the writer ran out of space (DUMP_DH_COMPRESSED_INCOMPLETE).
  let isIncomplete: Bool
  /// Whether the file is one of several that together are a dump.
  let isPart: Bool
  /// The pages that the file is about, by number: all up to the highest, but for one part of a dump that was split.
  let pages: Range<UInt64>
  /// Where the bitmap of the pages that are in the file is: the second of the two. The first is of those that exist.
  let bitmapOffset: UInt64
  /// In bytes, a multiple of the page size.
  let bitmapSize: UInt64
  let descriptorsOffset: UInt64
  let notes: (offset: UInt64, size: UInt64)

  static let magic = Array("KDUMP   ".utf8)
  static let diskdumpMagic = Array("DISKDUMP".utf8)

  /// More pages than any dump has: those of 64 TiB, as much as Linux can use with four-level paging (MAX_PHYSMEM_BITS,
  /// arch/x86/include/asm/sparsemem.h, 6.1). A damaged number of pages in a sparse file costs no more than going through
  /// 2 GiB of zeros.
  private static let pageLimit: UInt64 = 1 << 34

  init(_ file: DumpFile) throws(FileError) {
    let main = try file.withBytes(at: 0, count: Self.pageSize, "the head of the dump") { bytes throws(FileError) in
      try MainHeader(bytes)
    }
    let block = UInt64(Self.pageSize)
    let sub = try file.withBytes(at: block, count: SubHeader.size, "the second head of the dump") {
      bytes throws(FileError) in try SubHeader(bytes, main, base: file.place(of: block) ?? 0)
    }
    compression = KdumpCompression(status: main.status)
    isIncomplete = main.status & 0x8 != 0
    bitmapSize = UInt64(main.bitmapBlocks / 2) * block
    bitmapOffset = (1 + UInt64(main.subHeaderBlocks)) * block + bitmapSize
    descriptorsOffset = (1 + UInt64(main.subHeaderBlocks) + UInt64(main.bitmapBlocks)) * block
    notes = (sub.notesOffset, sub.notesSize)
    let end = min(sub.pageCount ?? UInt64(main.pageCount), bitmapSize * 8, Self.pageLimit)
    let part = sub.part ?? 0..<end
    isPart = sub.part != nil
    pages = min(part.lowerBound, end)..<min(part.upperBound, end)
  }
}

/// `disk_dump_header`.
private struct MainHeader {
  let version: UInt32
  let is64: Bool
  let status: UInt32
  let subHeaderBlocks: UInt32
  let bitmapBlocks: UInt32
  /// max_mapnr, cut to 32 bits.
  let pageCount: UInt32

  /// Where the status is and all that follows, after a time stamp whose size is that of the machine's words.
  private static let statusOffset = (is64: 424, is32: 412)

  init(_ bytes: RawSpan) throws(FileError) {
    if bytes.hasPrefix(KdumpHeader.diskdumpMagic) {
      throw FileError("a diskdump, which Linux of RHEL 3 and 4 wrote and QEMU never did", at: 0)
    }
    guard bytes.hasPrefix(KdumpHeader.magic) else {
      throw FileError("a flattened file that holds no kdump; dump the guest again: dump-guest-memory FILE", at: 0)
    }
    var reader = ByteReader(bytes, at: 8)
    version = try reader.integer(UInt32.self, "the version of the dump")
    // utsname: six names of 65 bytes, of which the fifth is the machine's. makedumpfile leaves them empty where it does not
    // look for the kernel's (-d 0; seen with 1.7.2).
    try reader.skip(4 * 65, "the host's names")
    let machine = try reader.block(65, "the machine's name").cString
    guard ["", "x86_64", "i386", "i486", "i586", "i686"].contains(machine) else {
      throw FileError("a dump of a machine \"\(machine)\"; Inquest reads x86 only", at: reader.offset - 65)
    }
    is64 = try Self.is64(bytes)
    reader = ByteReader(bytes, at: is64 ? Self.statusOffset.is64 : Self.statusOffset.is32)
    status = try reader.integer(UInt32.self, "the dump's status")
    try reader.skip(4, "the size of a block")
    subHeaderBlocks = try reader.integer(UInt32.self, "the size of the second head")
    bitmapBlocks = try reader.integer(UInt32.self, "the size of the bitmaps")
    pageCount = try reader.integer(UInt32.self, "the number of pages")
  }

  /// Whether the head is that of a 64-bit machine. The machine's name does not tell: QEMU gives x86_64 for a 32-bit head,
  /// too (dump/dump.c: create_header32, 7.2). The sizes do, which make no sense when read from the wrong place.
  private static func is64(_ bytes: RawSpan) throws(FileError) -> Bool {
    for (is64, offset) in [(true, statusOffset.is64), (false, statusOffset.is32)] {
      var reader = ByteReader(bytes, at: offset + 4)
      let blockSize = try reader.integer(UInt32.self, "the size of a block")
      let subHeaderBlocks = try reader.integer(UInt32.self, "the size of the second head")
      if blockSize == KdumpHeader.pageSize, subHeaderBlocks > 0 { return is64 }
    }
    throw FileError("the dump does not have blocks of 4096 bytes, x86's pages", at: statusOffset.is64 + 4)
  }
}

/// `kdump_sub_header`. The 32-bit one has words of 32 bits, but for offsets in the file and the last three.
private struct SubHeader {
  /// Of the 64-bit one, in bytes.
  static let size = 104

  let notesOffset: UInt64
  let notesSize: UInt64
  /// max_mapnr_64, since version 6.
  let pageCount: UInt64?
  /// The pages that are in this file, if the dump was split over several.
  let part: Range<UInt64>?

  init(_ bytes: RawSpan, _ main: MainHeader, base: Int) throws(FileError) {
    var reader = ByteReader(bytes, base: base)
    let is64 = main.is64
    _ = try reader.word(is64, "phys_base")
    try reader.skip(4, "dump_level")
    let isSplit = try reader.integer(UInt32.self, "split") != 0
    var start = try reader.word(is64, "start_pfn")
    var end = try reader.word(is64, "end_pfn")
    try reader.skip(8, "offset_vmcoreinfo")
    _ = try reader.word(is64, "size_vmcoreinfo")
    let notesOffset = try reader.integer(UInt64.self, "offset_note")
    let notesSize = try reader.word(is64, "size_note")
    try reader.skip(8, "offset_eraseinfo")
    _ = try reader.word(is64, "size_eraseinfo")
    var pageCount: UInt64?
    if main.version >= 6 {
      start = try reader.integer(UInt64.self, "start_pfn_64")
      end = try reader.integer(UInt64.self, "end_pfn_64")
      pageCount = try reader.integer(UInt64.self, "max_mapnr_64")
    }
    // The notes came with version 4, the parts with version 2.
    (self.notesOffset, self.notesSize) = main.version >= 4 ? (notesOffset, notesSize) : (0, 0)
    part = isSplit && main.version >= 2 && start <= end ? start..<end : nil
    self.pageCount = pageCount
  }
}
