/// The fields at the start of an ELF file that say whether the rest concerns an x86 guest (System V gABI, chapter 4).
struct ELFHeader {
  var imageClass: GuestImage.Class
  var machine: GuestImage.Machine

  /// Judges the first bytes without libelf, whose errors do not say which field was wrong.
  init(checking file: Span<UInt8>) throws(ImageError) {
    guard !file.isEmpty else { throw .empty }
    let magic: [UInt8] = [0x7F, 0x45, 0x4C, 0x46]
    for index in 0..<min(magic.count, file.count) where file[index] != magic[index] {
      throw .notELF(ForeignFormat(recognising: file))
    }
    try Self.need(20, of: file)
    imageClass =
      switch file[4] {
      case 1: .elf32
      case 2: .elf64
      case let other: throw .unsupported(field: "class (EI_CLASS)", value: UInt64(other), offset: 4)
      }
    guard file[5] == 1 else { throw .unsupported(field: "byte order (EI_DATA)", value: UInt64(file[5]), offset: 5) }
    guard file[6] == 1 else { throw .unsupported(field: "version (EI_VERSION)", value: UInt64(file[6]), offset: 6) }
    machine =
      switch UInt16(file[18]) | UInt16(file[19]) << 8 {
      case 3: .i386
      case 62: .amd64
      case let other: throw .unsupported(field: "machine (e_machine)", value: UInt64(other), offset: 18)
      }
    try Self.need(imageClass == .elf32 ? 52 : 64, of: file)
    switch UInt16(file[16]) | UInt16(file[17]) << 8 {
    case 1: throw .notExecutable(kind: "a relocatable object (ET_REL); link it first")
    case 2, 3: return
    case 4: throw .notExecutable(kind: "a core dump (ET_CORE)")
    case let other: throw .unsupported(field: "type (e_type)", value: UInt64(other), offset: 16)
    }
  }

  private static func need(_ count: Int, of file: Span<UInt8>) throws(ImageError) {
    guard file.count >= count else {
      throw .truncated(part: "ELF header", needed: UInt64(count), fileSize: UInt64(file.count))
    }
  }
}
