public import X86

/// The guest's own program: the ELF file that a boot loader or QEMU's `-kernel` puts into memory.
///
/// Addresses in it come in two kinds: those its code was linked for, and those where it is loaded (p_vaddr and p_paddr
/// of its program headers). They are the same in a small kernel and differ in one linked for the upper half.
///
/// The file may be hostile: what is wrong with its header is an error, what is wrong with one segment is in `problems`,
/// and symbols and lines that cannot be read are absent.
public struct GuestImage: Sendable {
  /// EI_CLASS: the width of the file's own fields. A 64-bit guest is often an ELF32 file, because Multiboot asks for it.
  public enum Class: Hashable, Sendable {
    case elf32
    case elf64
  }

  /// e_machine: EM_386 or EM_X86_64.
  public enum Machine: Hashable, Sendable {
    case i386
    case amd64
  }

  public let imageClass: Class
  public let machine: Machine
  /// e_entry: for Multiboot a physical address, else as the loader takes it.
  public let entryPoint: UInt64
  /// What is loaded, in the file's order.
  public let segments: [LoadSegment]
  /// What is wrong with parts of the file; empty for a sound one.
  public let problems: [ImageError]

  let file: ELFFile
  private let symbolTable: SymbolTableOnDemand

  /// Reads the file whose contents are `contents`, of which it makes a copy.
  public init(_ contents: Span<UInt8>) throws(ImageError) {
    let header = try ELFHeader(checking: contents)
    let file = try ELFFile(copying: contents)
    var problems: [ImageError] = []
    imageClass = header.imageClass
    machine = header.machine
    entryPoint = file.entryPoint
    segments = try LoadSegment.all(in: file, problems: &problems)
    guard !segments.isEmpty else { throw problems.first ?? .nothingToLoad }
    self.problems = problems
    self.file = file
    symbolTable = SymbolTableOnDemand(file)
  }

  /// Reads the file whose contents are `contents`, of which it makes a copy.
  public init(_ contents: [UInt8]) throws(ImageError) {
    try self.init(contents.span)
  }
}

// MARK: The file

extension GuestImage {
  /// The size of the file in bytes.
  public var fileSize: UInt64 { file.size }

  /// The GNU build ID in hexadecimal, by which tools know one build from another; nil where the file has none.
  public var buildID: String? {
    file.buildID.map { $0.map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined() }
  }

  /// Calls `body` with the contents of the file.
  public func withContents<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    file.withBytes(at: 0, count: .max, body)
  }
}

// MARK: Addresses

extension GuestImage {
  /// An address that the image has, in both its kinds.
  public struct Place: Hashable, Sendable {
    /// Which kind the address was that led here.
    public enum Match: Hashable, Sendable {
      /// It was one that the image is linked for.
      case virtual
      /// It was none of those, but one where the image is loaded.
      case physical
    }

    public var virtual: LinearAddress
    public var physical: PhysicalAddress
    public var match: Match
  }

  /// Where `address`, an instruction pointer perhaps, is in the image: as an address that it is linked for, or else as
  /// one where it is loaded, as code has before it turns on paging.
  ///
  /// Where segments overlap, the last one counts, which is the one that a loader writes last.
  public func place(of address: UInt64) -> Place? {
    place(of: LinearAddress(address)) ?? place(of: PhysicalAddress(address))
  }

  /// Where the virtual address `address` is in the image.
  public func place(of address: LinearAddress) -> Place? {
    for segment in segments.reversed() {
      guard let offset = segment.offset(of: address) else { continue }
      return Place(
        virtual: address, physical: PhysicalAddress(segment.physicalAddress.rawValue + offset), match: .virtual)
    }
    return nil
  }

  /// Where the physical address `address` is in the image.
  public func place(of address: PhysicalAddress) -> Place? {
    for segment in segments.reversed() {
      guard let offset = segment.offset(of: address) else { continue }
      return Place(
        virtual: LinearAddress(segment.virtualAddress.rawValue + offset), physical: address, match: .physical)
    }
    return nil
  }
}

// MARK: Names and lines

extension GuestImage {
  /// The symbol at `address` or the last before it that reaches it; nil where none does.
  ///
  /// A symbol with a size reaches its end; a label without one reaches the next symbol or the end of its section.
  public func symbol(containing address: LinearAddress) -> Symbol? {
    symbolTable.value.symbol(containing: address.rawValue).flatMap { symbol($0, at: address) }
  }

  /// The last symbol at or before `address` in the same section, even if it ends before: a guess to be shown as one,
  /// good for tables, of which NASM records only the size of the first item.
  public func symbol(atOrBefore address: LinearAddress) -> Symbol? {
    symbolTable.value.symbol(atOrBefore: address.rawValue).flatMap { symbol($0, at: address) }
  }

  private func symbol(_ raw: ELFFile.RawSymbol, at address: LinearAddress) -> Symbol? {
    guard let name = file.name(of: raw) else { return nil }
    return Symbol(
      name: SymbolName.demangled(name), linkName: name, start: LinearAddress(raw.start), size: raw.size,
      offset: address.rawValue - raw.start)
  }

  /// The functions that the instruction at `address` is of, by the file's DWARF: the innermost of those inlined there
  /// first, last the one whose code it is, at most 64; none where DWARF says nothing of it.
  ///
  /// An address outside the image has none: a linker leaves the DWARF of functions that it removed, at address 0.
  public func frames(at address: LinearAddress) -> [SourceFrame] {
    place(of: address) == nil ? [] : file.frames(at: address.rawValue)
  }

  /// The source line of the instruction at `address`, by the file's DWARF; nil where it has none for it. Code that was
  /// inlined has the line where it was written, not where it was called.
  public func sourceLine(at address: LinearAddress) -> SourceLine? {
    frames(at: address).first?.line
  }
}
