import CElfutils
public import X86

/// What one PT_LOAD program header says to load (System V gABI, chapter 5).
public struct LoadSegment: Hashable, Sendable {
  /// p_vaddr: where the code expects the segment.
  public var virtualAddress: LinearAddress
  /// p_paddr: where a boot loader puts it.
  public var physicalAddress: PhysicalAddress
  /// p_memsz: the segment's size in memory; never reaches past the top of either address space.
  public var memorySize: UInt64
  /// p_offset: where its contents begin in the file.
  public var fileOffset: UInt64
  /// How many of its first bytes the file has; p_filesz, but for a file cut off or a p_filesz above p_memsz.
  public var availableSize: UInt64
  /// p_filesz, at most `memorySize`: what follows it up to `memorySize` is zeroes.
  public var fileSize: UInt64
  public var isReadable: Bool
  public var isWritable: Bool
  public var isExecutable: Bool

  /// The offset in the segment of a virtual address; nil outside.
  func offset(of address: LinearAddress) -> UInt64? {
    let offset = address.rawValue &- virtualAddress.rawValue
    return offset < memorySize ? offset : nil
  }

  /// The offset in the segment of a physical address; nil outside.
  func offset(of address: PhysicalAddress) -> UInt64? {
    let offset = address.rawValue &- physicalAddress.rawValue
    return offset < memorySize ? offset : nil
  }
}

extension LoadSegment {
  /// The segments that the program headers of `file` describe, without empty ones.
  ///
  /// A segment that cannot be is left out and one that the file does not have whole is cut; both are `problems`.
  static func all(in file: ELFFile, problems: inout [ImageError]) throws(ImageError) -> [LoadSegment] {
    let fileSize = file.size
    var segments: [LoadSegment] = []
    for (number, header) in try file.programHeaders().enumerated() {
      guard header.p_type == UInt32(PT_LOAD), header.p_memsz > 0 else { continue }
      do throws(ImageError) {
        let segment = try LoadSegment(header, number: number, fileSize: fileSize)
        if segment.availableSize < segment.fileSize {
          let needed = header.p_offset.addingReportingOverflow(segment.fileSize)
          problems.append(
            .truncated(
              part: "segment \(number)", needed: needed.overflow ? .max : needed.partialValue, fileSize: fileSize))
        }
        segments.append(segment)
      } catch {
        problems.append(error)
      }
    }
    return segments
  }

  private init(_ header: GElf_Phdr, number: Int, fileSize: UInt64) throws(ImageError) {
    // The last byte's address must exist; the address behind it need not.
    for start in [header.p_vaddr, header.p_paddr] where start.addingReportingOverflow(header.p_memsz - 1).overflow {
      throw .malformed(part: "segment \(number)", reason: "it reaches past the top of the address space")
    }
    virtualAddress = LinearAddress(header.p_vaddr)
    physicalAddress = PhysicalAddress(header.p_paddr)
    memorySize = header.p_memsz
    fileOffset = header.p_offset
    self.fileSize = min(header.p_filesz, header.p_memsz)
    availableSize = min(self.fileSize, fileSize - min(header.p_offset, fileSize))
    isReadable = header.p_flags & UInt32(PF_R) != 0
    isWritable = header.p_flags & UInt32(PF_W) != 0
    isExecutable = header.p_flags & UInt32(PF_X) != 0
  }
}
