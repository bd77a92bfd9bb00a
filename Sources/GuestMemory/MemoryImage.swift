public import Files
public import X86

/// A raw copy of physical memory: what `pmemsave` writes, or the file of a `memory-backend-file`.
public struct MemoryImage: Sendable {
  public let file: MappedMemory
  /// The physical address of the file's first byte.
  public let base: PhysicalAddress

  public init(_ file: MappedMemory, at base: PhysicalAddress) {
    self.file = file
    self.base = base
  }
}

extension FileMemory {
  /// Memory from raw images; where they overlap, the one that comes first in the array has the bytes.
  public init(_ images: [MemoryImage]) throws(FileError) {
    var runs: [FileRun] = []
    for (index, image) in images.enumerated() {
      let count = UInt64(image.file.byteCount)
      let base = image.base.rawValue
      guard base < Self.addressLimit, count <= Self.addressLimit - base else {
        throw FileError(
          "an image of \(count) bytes at \(base.hexadecimal) goes beyond the 52 bits of a physical address; "
            + "give another base")
      }
      runs.append(FileRun(address: base, count: count, offset: 0, file: index))
    }
    self.init(images.map(\.file), FileRuns(runs))
  }
}
