public import X86

/// Something wrong, or dangerous, in an address space.
public struct AddressSpaceTrouble: Hashable, Sendable {
  /// What it is.
  public enum Kind: Int, Hashable, Sendable, CaseIterable {
    /// A present entry with a reserved bit: each access behind it is a page fault.
    case reservedBit
    /// An entry whose reserved bits hang on something that is not known.
    case possiblyReservedBit
    /// An entry that leads to a table where there is no memory.
    case tableOutsideRAM
    /// An entry that leads to a table where a device answers.
    case tableOnDevice
    /// A table that the memory at hand does not hold, so that what it maps is not known.
    case tableNotCaptured
    /// A paging structure that user mode may write: it can map itself anything.
    case tableWritableByUser
    /// Pages that can be written and executed.
    case writableAndExecutable
    /// A large page of which a part is memory and a part is a device's registers, or nothing.
    case pageOverlapsDevice
    /// An entry that leads back to a table above it.
    case selfMap

    /// The stable name.
    public var name: String {
      switch self {
      case .reservedBit: "reserved-bit"
      case .possiblyReservedBit: "possibly-reserved-bit"
      case .tableOutsideRAM: "table-outside-ram"
      case .tableOnDevice: "table-on-device"
      case .tableNotCaptured: "table-not-captured"
      case .tableWritableByUser: "table-writable-by-user"
      case .writableAndExecutable: "writable-and-executable"
      case .pageOverlapsDevice: "page-overlaps-device"
      case .selfMap: "self-map"
      }
    }
  }

  public var kind: Kind
  /// The linear addresses concerned.
  public var start: LinearAddress
  public var size: UInt64
  /// The entry concerned, where it is one.
  public var entry: PageTableEntry?
  public var entryAddress: PhysicalAddress?
  /// What is so, in a sentence.
  public var words: String
}

extension AddressSpaceTrouble {
  init(_ finding: TableFinding) {
    kind = Kind(finding)
    start = finding.start
    size = finding.span
    entry = finding.entry
    entryAddress = finding.entryAddress
    let place =
      "\(finding.structure.entryName)[\(finding.index)] \(finding.entry.rawValue.hexadecimal) at physical "
      + finding.entryAddress.rawValue.hexadecimal
    switch finding.kind {
    case .reservedBits(let violations):
      let broken = violations.areDefinite ? violations.filter(\.isDefinite) : Array(violations)
      let rules = broken.map { "\(bitNames($0.bits)): \($0.rule.words)" }
      words =
        "\(place) has \(violations.areDefinite ? "" : "perhaps ")reserved bits set (\(rules.joined(separator: "; ")))"
    case .tableUnavailable(let memory):
      words = "\(place) leads to a table at \(memory.address.rawValue.hexadecimal), \(memory.reason.words)"
    case .selfMap:
      let user = finding.rights.contains(.user) ? "; user mode may use it" : ""
      words =
        "\(place) leads back to the table at \(finding.entry.table.rawValue.hexadecimal) above it, a self-map\(user)"
    }
  }

  /// A paging structure that user mode may write.
  init(table: PhysicalAddress, of structure: PagingStructure, writableAt start: LinearAddress) {
    kind = .tableWritableByUser
    self.start = start
    size = 0x1000
    words = "the \(structure.longName) at physical \(table.rawValue.hexadecimal) can be written by user mode here"
  }

  init(writableAndExecutable range: MappedRange) {
    kind = .writableAndExecutable
    start = range.start
    size = range.size
    let who = range.rights.contains(.user) ? "user mode" : "the supervisor"
    words = "\(who) may write and execute \(sizeInWords(range.size)) in \(sizeName(range.pageSize)) pages"
  }

  init(overlapping range: MappedRange, page: LinearAddress, memory: String, other: String) {
    kind = .pageOverlapsDevice
    start = page
    size = range.pageSize
    words = "one \(sizeName(range.pageSize)) page covers both \(memory) and \(other), which want different memory types"
  }
}

extension AddressSpaceTrouble.Kind {
  init(_ finding: TableFinding) {
    self =
      switch finding.kind {
      case .reservedBits(let violations): violations.areDefinite ? .reservedBit : .possiblyReservedBit
      case .tableUnavailable(let memory):
        switch memory.reason {
        case .unbacked: .tableOutsideRAM
        case .device: .tableOnDevice
        case .notCaptured: .tableNotCaptured
        }
      case .selfMap: .selfMap
      }
  }
}

/// A size as people say it, in the largest unit that divides it: `4 KiB`, `3072 MiB`, `6 GiB`.
public func sizeInWords(_ bytes: UInt64) -> String {
  for (shift, unit) in [(50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] as [(UInt64, String)]
  where bytes >> shift > 0 && bytes & (1 << shift &- 1) == 0 { return "\(bytes >> shift) \(unit)" }
  return "\(bytes) bytes"
}
