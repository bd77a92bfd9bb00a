/// The setup header of a Linux kernel in the form of a bzImage, or of another program that is loaded like one
/// (Linux Documentation/arch/x86/boot.rst, 6.1).
public struct LinuxSetupHeader: Hashable, Sendable {
  /// How many bytes from the beginning of the file hold all of it that is read.
  public static let size = 0x264

  /// The version of the boot protocol: 20FH is 2.15.
  public var version: UInt16
  /// The real-mode code in bytes, with the boot sector.
  public var setupSize: UInt64
  /// The protected-mode code in bytes, in paragraphs of 16.
  public var protectedModeSize: UInt64
  /// XLF_KERNEL_64: the kernel is one of 64 bits.
  public var isOf64Bits: Bool
  /// What the kernel needs where it runs; nil before protocol 2.10, and where the header says nothing.
  public var runningPlace: RunningPlace?

  /// Where the kernel's first code, the decompressor, works.
  public struct RunningPlace: Hashable, Sendable {
    /// The physical address, where the loader puts the kernel to 1 MiB.
    public var start: UInt64
    /// In bytes from there on.
    public var size: UInt64
    /// The first address behind.
    public var end: UInt64 { start &+ size }

    public init(start: UInt64, size: UInt64) {
      (self.start, self.size) = (start, size)
    }
  }

  public init(
    version: UInt16, setupSize: UInt64, protectedModeSize: UInt64, isOf64Bits: Bool, runningPlace: RunningPlace?
  ) {
    self.version = version
    self.setupSize = setupSize
    self.protectedModeSize = protectedModeSize
    self.isOf64Bits = isOf64Bits
    self.runningPlace = runningPlace
  }

  /// - Parameter bytes: The beginning of the file, or of the sector in memory; at least ``size`` bytes.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count >= Self.size, bytes[0x1FE...0x1FF] == [0x55, 0xAA],
      bytes[0x202...0x205] == ArraySlice("HdrS".utf8)
    else { return nil }
    func field(_ offset: Int, _ count: Int) -> UInt64 {
      bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    version = UInt16(truncatingIfNeeded: field(0x206, 2))
    // 0 stands for 4.
    setupSize = ((bytes[0x1F1] == 0 ? 4 : UInt64(bytes[0x1F1])) + 1) * 512
    // Before 2.04 the field has two bytes.
    protectedModeSize = field(0x1F4, version >= 0x204 ? 4 : 2) * 16
    isOf64Bits = version >= 0x20C && bytes[0x236] & 1 != 0
    let isLoadedHigh = bytes[0x211] & 1 != 0
    runningPlace =
      version >= 0x20A && isLoadedHigh
      ? RunningPlace(
        alignment: field(0x230, 4), isRelocatable: bytes[0x234] != 0, preferred: field(0x258, 8), size: field(0x260, 4))
      : nil
  }

  /// How long the file must be: a file may be some bytes shorter, since the code is counted in paragraphs, or longer, with a signature.
  public var leastFileSize: UInt64 { setupSize + max(protectedModeSize, 15) - 15 }
}

extension LinuxSetupHeader.RunningPlace {
  /// Where QEMU's loader, like others, puts the protected-mode code (hw/i386/x86.c: x86_load_linux, 7.2).
  private static let loadAddress: UInt64 = 0x10_0000
  /// No kernel asks for more, and above 2 GiB it depends on the machine where memory lies.
  private static let highestEnd: UInt64 = 2 << 30

  /// By the kernel's own rule (arch/x86/boot/compressed/head_64.S and head_32.S: startup_32, 6.1; boot.rst, "init_size"): a relocatable kernel
  /// runs where it is, at the next multiple of its alignment, but not below the address that it prefers.
  fileprivate init?(alignment: UInt64, isRelocatable: Bool, preferred: UInt64, size: UInt64) {
    var start = preferred
    if isRelocatable {
      guard alignment.nonzeroBitCount == 1 else { return nil }
      start = max(preferred, (Self.loadAddress + alignment - 1) & ~(alignment - 1))
    }
    guard size > 0, start > 0, start <= Self.highestEnd, start + size <= Self.highestEnd else { return nil }
    (self.start, self.size) = (start, size)
  }
}

/// The file that `-kernel` names, where it is a Linux kernel in the form of a bzImage.
public struct LinuxKernelFile: Hashable, Sendable {
  public var header: LinuxSetupHeader
  /// In bytes.
  public var size: UInt64

  public init(header: LinuxSetupHeader, size: UInt64) {
    (self.header, self.size) = (header, size)
  }

  /// Whether the end of the kernel's code is missing.
  public var isCutShort: Bool { size < header.leastFileSize }
}
