import Files

/// What the head of an ELF core says, and where its program headers are.
struct ELFHeader {
  let is64: Bool
  private let segmentsOffset: UInt64
  private let segmentSize: Int
  private let segmentCount: UInt64

  static let magic: [UInt8] = [0x7F, 0x45, 0x4C, 0x46]
  /// e_machine: EM_386 and EM_X86_64.
  private static let x86: Set<UInt16> = [3, 62]
  /// e_type: ET_CORE.
  private static let core: UInt16 = 4
  /// e_phnum, where the number is too large for it: PN_XNUM.
  private static let countIsElsewhere: UInt16 = 0xFFFF

  /// Whether the file is an ELF file of the type core, be it of a machine or of a process. The type is at the same place
  /// in both classes, and only little-endian machines are x86.
  static func isCore(_ bytes: RawSpan) -> Bool {
    bytes.hasPrefix(magic) && bytes.slice(offset: 16, count: 2)?.load(UInt16.self, at: 0) == core
  }

  init(_ bytes: RawSpan) throws(FileError) {
    var reader = ByteReader(bytes)
    try reader.skip(4, "the magic number of ELF")
    switch try reader.integer(UInt8.self, "the class of the ELF file") {
    case 1: is64 = false
    case 2: is64 = true
    case let other: throw FileError("an ELF file of class \(other), which is neither 32-bit (1) nor 64-bit (2)", at: 4)
    }
    try reader.skip(13, "the head of the ELF file")
    let machine = try reader.integer(UInt16.self, "the machine of the ELF file")
    guard Self.x86.contains(machine) else {
      throw FileError("a core of a machine that is not x86 (e_machine \(machine)); Inquest reads x86 only", at: 18)
    }
    try reader.skip(4, "the version of the ELF file")
    _ = try reader.word(is64, "the entry point")
    segmentsOffset = try reader.word(is64, "the offset of the program headers")
    let sectionsOffset = try reader.word(is64, "the offset of the section headers")
    try reader.skip(6, "the flags of the ELF file")
    segmentSize = Int(try reader.integer(UInt16.self, "the size of a program header"))
    guard segmentSize >= (is64 ? 56 : 32) else {
      throw FileError("program headers of \(segmentSize) bytes are too short", at: reader.fileOffset - 2)
    }
    let count = try reader.integer(UInt16.self, "the number of program headers")
    segmentCount =
      count == Self.countIsElsewhere && sectionsOffset != 0
      ? UInt64(try Self.segmentCount(bytes, sectionsOffset, is64)) : UInt64(count)
  }

  /// The sh_info of the first section header (gABI, "Section Header Table Index"; QEMU's write_elf_section does so).
  private static func segmentCount(_ bytes: RawSpan, _ offset: UInt64, _ is64: Bool) throws(FileError) -> UInt32 {
    guard let offset = Int(exactly: offset), offset <= bytes.byteCount else {
      throw FileError(
        "the number of program headers lies beyond the end of the file: the file is cut off", at: bytes.byteCount)
    }
    var reader = ByteReader(bytes, at: offset)
    try reader.skip(is64 ? 44 : 28, "the section header with the number of program headers")
    return try reader.integer(UInt32.self, "the number of program headers")
  }

  /// Gives each program header that the file still holds.
  ///
  /// - Returns: What was wrong, if some are missing.
  func forEachSegment(_ bytes: RawSpan, _ body: (ELFSegment) -> Void) -> FileError? {
    guard segmentCount > 0 else { return nil }
    let start = Int(exactly: segmentsOffset).map { min($0, bytes.byteCount) } ?? bytes.byteCount
    var reader = ByteReader(bytes, at: start)
    for index in 0..<segmentCount {
      do throws(FileError) {
        let offset = reader.fileOffset
        let header = try reader.block(segmentSize, "program header \(index) of \(segmentCount)")
        body(try ELFSegment(ByteReader(header, base: offset), is64))
      } catch {
        return error
      }
    }
    return nil
  }
}

/// A program header.
struct ELFSegment {
  enum Kind: UInt32 {
    case load = 1
    case note = 4
  }

  /// Nil for a segment that holds nothing of interest.
  let kind: Kind?
  let offset: UInt64
  let physicalAddress: UInt64
  let fileSize: UInt64
  let memorySize: UInt64
  /// Where the program header is in the file.
  let place: Int

  init(_ reader: consuming ByteReader, _ is64: Bool) throws(FileError) {
    place = reader.fileOffset
    kind = Kind(rawValue: try reader.integer(UInt32.self, "the type of a segment"))
    if is64 { try reader.skip(4, "the flags of a segment") }
    offset = try reader.word(is64, "the offset of a segment")
    _ = try reader.word(is64, "the virtual address of a segment")
    physicalAddress = try reader.word(is64, "the physical address of a segment")
    fileSize = try reader.word(is64, "the size of a segment in the file")
    memorySize = try reader.word(is64, "the size of a segment in memory")
  }

  /// Where the file holds the segment's bytes, and what is wrong if it does not hold them all.
  func contents(in byteCount: Int) -> (range: Range<Int>, problem: FileError?) {
    let end = offset.addingReportingOverflow(fileSize)
    if !end.overflow, let end = Int(exactly: end.partialValue), end <= byteCount { return (Int(offset)..<end, nil) }
    let start = Int(exactly: offset).map { min($0, byteCount) } ?? byteCount
    let problem = FileError(
      "a segment of \(fileSize) bytes from offset \(offset) goes beyond the end of the file: it is cut off; copy it again",
      at: place)
    return (start..<byteCount, problem)
  }
}

extension ByteReader {
  /// A word of a 64-bit machine or of a 32-bit one.
  @_lifetime(self: copy self)
  mutating func word(_ is64: Bool, _ what: String) throws(FileError) -> UInt64 {
    is64 ? try integer(UInt64.self, what) : UInt64(try integer(UInt32.self, what))
  }
}
