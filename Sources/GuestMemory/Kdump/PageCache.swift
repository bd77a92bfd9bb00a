import Files
import Synchronization

/// The pages of a kdump that were asked for last, decompressed. All of it takes 4 MiB, as far as it is in use.
///
/// It has parts that are locked each for itself, so that several threads can decompress at once. A page's number tells
/// its part, and the few places in it where the page may be, which makes a page that is there cheap to find.
final class PageCache: Sendable {
  private static let partCount: UInt64 = 8
  private let parts: [Part]

  init() { parts = (0..<Self.partCount).map { _ in Part() } }

  /// Gives a page's contents to `body`, out of `pages` if they are not here.
  ///
  /// - Parameter page: by number.
  /// - Returns: False if the dump does not hold the page.
  func withContents(
    of page: UInt64, from pages: KdumpPages, _ body: (RawSpan) -> Void
  ) throws(FileError) -> Bool {
    try parts[Int(page % Self.partCount)].places.withLock { places throws(FileError) in
      try places.withContents(of: page, at: Int(page / Self.partCount % CachedPages.rowCount), from: pages, body)
    }
  }

  private final class Part: Sendable {
    let places = Mutex(CachedPages())
  }
}

/// Places for pages in rows, each page at any place of its row. A new page takes that of the one not used for longest.
private struct CachedPages: Sendable {
  static let rowCount: UInt64 = 32
  private static let rowSize = 4
  private static let count = Int(rowCount) * rowSize

  /// The number of the page at each place; nil where none is yet.
  private var pages = [UInt64?](repeating: nil, count: count)
  /// When the page at each place was last used, as counted by `uses`.
  private var lastUse = [UInt64](repeating: 0, count: count)
  private var uses: UInt64 = 0
  /// Empty until the first page comes.
  private var contents: [UInt8] = []
  private var decoder: PageDecoder?

  mutating func withContents(
    of page: UInt64, at row: Int, from dump: KdumpPages, _ body: (RawSpan) -> Void
  ) throws(FileError) -> Bool {
    let places = row * Self.rowSize..<(row + 1) * Self.rowSize
    var found = places.first { pages[$0] == page }
    if found == nil { found = try bring(page, to: places, from: dump) }
    guard let place = found else { return false }
    uses += 1
    lastUse[place] = uses
    let start = place * KdumpHeader.pageSize
    // Safe: a byte has no padding.
    body(unsafe contents.span.bytes.extracting(start..<start + KdumpHeader.pageSize))
    return true
  }

  /// - Returns: Where the page is now; nil if the dump does not hold it.
  private mutating func bring(
    _ page: UInt64, to places: Range<Int>, from dump: KdumpPages
  ) throws(FileError) -> Int? {
    if contents.isEmpty { contents = [UInt8](repeating: 0, count: Self.count * KdumpHeader.pageSize) }
    let decoder = if let decoder { decoder } else { try PageDecoder() }
    self.decoder = decoder
    let place = places.min { lastUse[$0] < lastUse[$1] } ?? places.lowerBound
    let isThere = try dump.withContents(of: page, decoder: decoder) { bytes in
      var span = contents.mutableSpan
      span.replace(at: place * KdumpHeader.pageSize, with: bytes)
    }
    guard isThere else { return nil }
    pages[place] = page
    return place
  }
}
