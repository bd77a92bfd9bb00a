public import X86

/// What answers at each guest physical address, as the monitor's `info mtree -f` shows it.
///
/// QEMU's text (softmmu/memory.c: mtree_print_flatview, 7.2 to 10.2), one view for each set of address spaces that see
/// the same:
///
///     FlatView #1
///      AS "memory", root: system
///      AS "cpu-memory-0", root: system
///      Root memory region: system
///       0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM
///       00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000
public struct MemoryMap: Hashable, Sendable {
  /// Ranges that do not overlap, by ascending address.
  public var ranges: [Range]

  /// Addresses that one memory region answers.
  public struct Range: Hashable, Sendable {
    public var first: PhysicalAddress
    public var last: PhysicalAddress
    public var kind: Kind
    /// The region's name: for memory that of the RAM block.
    public var name: String
    /// Where `first` lies in the region.
    public var offset: UInt64

    public init(first: PhysicalAddress, last: PhysicalAddress, kind: Kind, name: String, offset: UInt64) {
      self.first = first
      self.last = last
      self.kind = kind
      self.name = name
      self.offset = offset
    }
  }

  public enum Kind: Hashable, Sendable {
    case ram
    /// Memory that reads without side effect and that the guest cannot write: `rom`, or `romd`, a flash chip.
    case rom
    /// Registers of a device (`i/o`), or the memory of a passed-through one (`ramd`).
    case device
  }

  public init(ranges: [Range]) {
    self.ranges = ranges
  }

  /// The range that holds `address`; nil where nothing answers.
  public func range(at address: PhysicalAddress) -> Range? {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = low + (high - low) / 2
      if ranges[middle].last < address { low = middle + 1 } else { high = middle }
    }
    guard low < ranges.count, ranges[low].first <= address else { return nil }
    return ranges[low]
  }
}

extension MemoryMap {
  /// The view of the first processor in the text of `info mtree -f`; nil where no view is that of a processor.
  ///
  /// Lines of another form are passed over: QEMU adds lines from release to release.
  public init?(monitorText text: String) {
    var ranges: [Range] = []
    var isWanted = false
    var isFound = false
    for line in text.split(whereSeparator: \.isNewline) {
      if line.hasPrefix("FlatView #") {
        if isFound { break }
        isWanted = false
      } else if line.hasPrefix(" AS \"") {
        if Self.isProcessorMemory(line) { isWanted = true }
      } else if isWanted, let range = Range(line) {
        ranges.append(range)
        isFound = true
      }
    }
    guard isFound else { return nil }
    self.init(ranges: ranges.sorted { $0.first < $1.first })
  }

  /// `cpu-memory-0` is what a processor sees outside SMM; QEMU before 2.9 shows `memory` only.
  private static func isProcessorMemory(_ line: Substring) -> Bool {
    line.hasPrefix(" AS \"cpu-memory-0\"") || line.hasPrefix(" AS \"memory\"")
  }
}

extension MemoryMap.Range {
  /// `  FIRST-LAST (prio N, KIND): NAME[ @OFFSET][ ACCELERATOR]`.
  fileprivate init?(_ line: Substring) {
    let text = line.drop { $0 == " " }
    guard
      let dash = text.firstIndex(of: "-"), let first = UInt64(text[..<dash], radix: 16),
      let blank = text.firstIndex(of: " "), dash < blank,
      let last = UInt64(text[text.index(after: dash)..<blank], radix: 16), first <= last,
      let open = text.firstIndex(of: "("), let close = text[open...].firstIndex(of: ")"),
      let comma = text[open..<close].lastIndex(of: ","),
      let kind = MemoryMap.Kind(text[text.index(after: comma)..<close].drop { $0 == " " })
    else { return nil }
    var name = text[close...].dropFirst(2).drop { $0 == " " }
    for accelerator in [" KVM", " HVF", " WHPX", " NVMM"] where name.hasSuffix(accelerator) {
      name = name.dropLast(accelerator.count)
    }
    var offset: UInt64 = 0
    if let at = name.lastIndex(of: "@"), at > name.startIndex, name[name.index(before: at)] == " ",
      let value = UInt64(name[name.index(after: at)...], radix: 16)
    {
      offset = value
      name = name[..<name.index(before: at)]
    }
    self.init(
      first: PhysicalAddress(first), last: PhysicalAddress(last), kind: kind, name: String(name), offset: offset)
  }
}

extension MemoryMap.Kind {
  /// The words of memory_region_type, with `nv-` before those of an NVDIMM.
  fileprivate init?(_ word: Substring) {
    switch word.hasPrefix("nv-") ? word.dropFirst(3) : word {
    case "ram": self = .ram
    case "rom", "romd": self = .rom
    case "i/o", "ramd": self = .device
    default: return nil
    }
  }
}
