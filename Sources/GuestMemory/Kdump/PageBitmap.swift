import Files
import X86

/// Which pages a kdump holds, and how many of them come before each.
///
/// The bitmap stays in the file. In memory is the number of pages before each 512: 64 KiB for 16 GiB of guest memory.
struct PageBitmap: Sendable {
  private let file: DumpFile
  private let offset: UInt64
  /// The pages that the file is about; bits of others are not heeded.
  private let pages: Range<UInt64>
  /// How many pages the file holds before each group, from that of the first page on.
  private let ranks: [UInt64]
  /// How many pages the file holds.
  let count: UInt64

  /// Counts the bits, once.
  init(_ header: KdumpHeader, in file: DumpFile) throws(FileError) {
    self.file = file
    offset = header.bitmapOffset
    pages = header.pages
    var ranks: [UInt64] = []
    var count: UInt64 = 0
    for index in Self.groups(of: pages) {
      ranks.append(count)
      count += UInt64(try Self.group(index, of: pages, at: offset, in: file).count)
    }
    self.ranks = ranks
    self.count = count
  }

  /// How many pages the file holds before this one; nil if it does not hold it.
  func rank(of page: UInt64) throws(FileError) -> UInt64? {
    guard pages.contains(page) else { return nil }
    let index = page / BitGroup.size
    let bit = Int(page % BitGroup.size)
    let group = try Self.group(index, of: pages, at: offset, in: file)
    guard group.contains(bit) else { return nil }
    return ranks[Int(index - pages.lowerBound / BitGroup.size)] + UInt64(group.count(before: bit))
  }

  /// The addresses of the pages, ascending, with a gap between each two.
  func ranges() throws(FileError) -> [Range<PhysicalAddress>] {
    var ranges: [Range<PhysicalAddress>] = []
    var start: UInt64?
    func end(at page: UInt64) {
      if let first = start { ranges.append(Self.address(of: first)..<Self.address(of: page)) }
      start = nil
    }
    for index in Self.groups(of: pages) {
      let group = try Self.group(index, of: pages, at: offset, in: file)
      if group.count == Int(BitGroup.size), start != nil { continue }
      for bit in 0..<Int(BitGroup.size) {
        let page = index * BitGroup.size + UInt64(bit)
        if !group.contains(bit) { end(at: page) } else if start == nil { start = page }
      }
    }
    end(at: pages.upperBound)
    return ranges
  }

  private static func address(of page: UInt64) -> PhysicalAddress {
    PhysicalAddress(page * UInt64(KdumpHeader.pageSize))
  }

  private static func groups(of pages: Range<UInt64>) -> Range<UInt64> {
    guard !pages.isEmpty else { return 0..<0 }
    return pages.lowerBound / BitGroup.size..<(pages.upperBound - 1) / BitGroup.size + 1
  }

  private static func group(
    _ index: UInt64, of pages: Range<UInt64>, at offset: UInt64, in file: DumpFile
  ) throws(FileError) -> BitGroup {
    let place = offset + index * UInt64(BitGroup.byteCount)
    var group = try file.withBytes(
      at: place, count: BitGroup.byteCount, "the bitmap of the pages", areWritten: true
    ) { BitGroup($0) }
    let first = index * BitGroup.size
    if first < pages.lowerBound { group.clear(0..<Int(pages.lowerBound - first)) }
    if pages.upperBound - first < BitGroup.size { group.clear(Int(pages.upperBound - first)..<Int(BitGroup.size)) }
    return group
  }
}

/// 512 bits of a bitmap, the lowest of its first byte first.
private struct BitGroup {
  static let size: UInt64 = 512
  static let byteCount = 64

  private var words: InlineArray<8, UInt64>

  init(_ bytes: RawSpan) { words = InlineArray { bytes.load(UInt64.self, at: $0 * 8) } }

  var count: Int {
    var count = 0
    for index in words.indices { count += words[index].nonzeroBitCount }
    return count
  }

  func contains(_ bit: Int) -> Bool { words[bit / 64] >> UInt64(bit % 64) & 1 != 0 }

  func count(before bit: Int) -> Int {
    var count = (words[bit / 64] & ((1 << UInt64(bit % 64)) - 1)).nonzeroBitCount
    for index in 0..<bit / 64 { count += words[index].nonzeroBitCount }
    return count
  }

  mutating func clear(_ bits: Range<Int>) {
    for bit in bits { words[bit / 64] &= ~(1 << UInt64(bit % 64)) }
  }
}
