/// Why bytes could not be used as a guest's image, or not wholly.
public enum ImageError: Error, Hashable, Sendable {
  case empty
  /// Something else than an ELF file.
  case notELF(ForeignFormat)
  /// The file has `fileSize` bytes and `part` needs it to have `needed`.
  case truncated(part: String, needed: UInt64, fileSize: UInt64)
  /// A field of the header at the start of the file with a value that no x86 guest has.
  case unsupported(field: String, value: UInt64, offset: UInt64)
  /// An ELF file that cannot be booted, with what it is: a relocatable object or a core dump.
  case notExecutable(kind: String)
  /// No program header says what to load.
  case nothingToLoad
  /// libelf refused a part, with its reason.
  case malformed(part: String, reason: String)
}

/// What a file that is not an ELF file is instead.
public enum ForeignFormat: Hashable, Sendable {
  /// A Linux kernel with its boot sector and setup code, usually called bzImage or vmlinuz.
  case linuxBootImage
  /// A PE file: an EFI application or a Windows executable.
  case portableExecutable
  /// A boot sector or a disk that begins with one.
  case bootSector
  /// Compressed, with the program that made it.
  case compressed(by: String)
  case unknown
}

extension ImageError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .empty: "the file is empty"
    case .notELF(let format): "not an ELF file but \(format)"
    case .truncated(let part, let needed, let fileSize):
      "cut off: the \(part) needs \(needed) bytes of file, there are \(fileSize)"
    case .unsupported(let field, let value, let offset):
      "not an x86 guest: \(field) at offset \(offset) is \(value)"
    case .notExecutable(let kind): "an ELF file, but \(kind) and not a program"
    case .nothingToLoad: "an ELF file without a segment to load"
    case .malformed(let part, let reason): "the \(part) cannot be read: \(reason)"
    }
  }
}

extension ForeignFormat: CustomStringConvertible {
  public var description: String {
    switch self {
    case .linuxBootImage:
      "a Linux boot image (bzImage), which holds the kernel compressed; give the vmlinux of the same build instead"
    case .portableExecutable: "a PE file; give the ELF file it was made from instead"
    case .bootSector: "a boot sector; give the ELF file it was made from instead"
    case .compressed(let program): "compressed by \(program); uncompress it first"
    case .unknown: "of an unknown kind"
    }
  }

  /// Recognises what begins with `bytes`, by the signatures that the formats define.
  init(recognising bytes: Span<UInt8>) {
    func has(_ signature: [UInt8], at offset: Int = 0) -> Bool {
      guard bytes.count >= offset + signature.count else { return false }
      for (index, byte) in signature.enumerated() where bytes[offset + index] != byte { return false }
      return true
    }
    // The setup header's magic number comes first: a bzImage with an EFI stub is a PE file and has a boot sector's
    // signature too (Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
    if has(Array("HdrS".utf8), at: 0x202) {
      self = .linuxBootImage
    } else if has(Array("MZ".utf8)) {
      self = .portableExecutable
    } else if has([0x1F, 0x8B]) {
      self = .compressed(by: "gzip")
    } else if has([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0]) {
      self = .compressed(by: "xz")
    } else if has([0x28, 0xB5, 0x2F, 0xFD]) {
      self = .compressed(by: "zstd")
    } else if has(Array("BZh".utf8)) {
      self = .compressed(by: "bzip2")
    } else if has([0x04, 0x22, 0x4D, 0x18]) || has([0x02, 0x21, 0x4C, 0x18]) {
      self = .compressed(by: "lz4")
    } else if has([0x55, 0xAA], at: 510) {
      self = .bootSector
    } else {
      self = .unknown
    }
  }
}
