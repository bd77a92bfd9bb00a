/// The pages that were asked for last, not more than a constant number of them.
///
/// Two generations: a page that is asked for again moves to the younger one, and when that is full the older one is
/// forgotten.
struct PageCache {
  /// The most pages of one generation: 32 MiB of contents.
  static let generationLimit = 8192

  /// The contents by page address; nil for a page that could not be had.
  private var young: [UInt64: [UInt8]?] = [:]
  private var old: [UInt64: [UInt8]?] = [:]

  /// The page at `address`, or what `read` gives; that is kept, also where it is nothing.
  mutating func page(at address: UInt64, reading read: () -> [UInt8]?) -> [UInt8]? {
    if let known = young[address] { return known }
    let page = old[address] ?? read()
    if young.count >= Self.generationLimit {
      old = young
      young = [:]
    }
    young[address] = .some(page)
    return page
  }
}
