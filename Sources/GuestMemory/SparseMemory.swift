import Files
public import X86

/// Those 4 KiB pages of physical memory that somebody kept.
public struct SparseMemory: PhysicalMemory, Hashable, Sendable {
  /// In bytes.
  public static let pageSize = 4096

  /// The contents of the pages by page number, each `pageSize` long.
  private var pages: [UInt64: [UInt8]] = [:]
  /// The pages known to hold no memory, with the reason, by page number.
  private var holes: [UInt64: UnavailableMemory.Reason] = [:]

  public init() {}

  /// The addresses of the pages that are kept, in ascending order.
  public var pageAddresses: [PhysicalAddress] {
    pages.keys.sorted().map { PhysicalAddress($0 * UInt64(Self.pageSize)) }
  }

  /// Keeps a page. What was known of it before is replaced.
  ///
  /// - Returns: False, and nothing is kept, if `address` is not a multiple of 4096 or `contents` is not 4096 bytes long.
  @discardableResult
  public mutating func insert(page contents: [UInt8], at address: PhysicalAddress) -> Bool {
    guard let number = Self.pageNumber(of: address), contents.count == Self.pageSize else { return false }
    pages[number] = contents
    holes[number] = nil
    return true
  }

  /// Remembers why a page has no contents, so that a read says so instead of that the page was not captured.
  ///
  /// - Returns: False, and nothing is remembered, if `address` is not a multiple of 4096.
  @discardableResult
  public mutating func insert(hole reason: UnavailableMemory.Reason, at address: PhysicalAddress) -> Bool {
    guard let number = Self.pageNumber(of: address) else { return false }
    pages[number] = nil
    holes[number] = reason
    return true
  }

  /// Copies the pages that hold `count` bytes from `address` on out of `memory`; a page that it cannot give is
  /// remembered with the reason, unless it is merely not captured.
  public mutating func capture(_ address: PhysicalAddress, count: UInt64, from memory: some PhysicalMemory) {
    guard count > 0 else { return }
    let size = UInt64(Self.pageSize)
    let (last, overflows) = address.rawValue.addingReportingOverflow(count - 1)
    for number in address.rawValue / size...(overflows ? .max : last) / size {
      capture(pageNumber: number, from: memory)
    }
  }

  private mutating func capture(pageNumber number: UInt64, from memory: some PhysicalMemory) {
    let address = PhysicalAddress(number * UInt64(Self.pageSize))
    var contents = [UInt8](repeating: 0, count: Self.pageSize)
    do throws(UnavailableMemory) {
      var span = contents.mutableSpan
      try memory.read(address, into: &span)
      insert(page: contents, at: address)
    } catch {
      if error.reason != .notCaptured { insert(hole: error.reason, at: address) }
    }
  }

  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    var filled = 0
    while filled < buffer.count {
      let (next, overflows) = address.rawValue.addingReportingOverflow(UInt64(filled))
      guard !overflows else { throw UnavailableMemory(address: PhysicalAddress(next), reason: .unbacked) }
      let number = next / UInt64(Self.pageSize)
      guard let page = pages[number] else {
        throw UnavailableMemory(address: PhysicalAddress(next), reason: holes[number] ?? .notCaptured)
      }
      let offset = Int(next % UInt64(Self.pageSize))
      let count = min(Self.pageSize - offset, buffer.count - filled)
      // Safe: a byte has no padding.
      buffer.replace(at: filled, with: unsafe page.span.bytes.extracting(offset..<offset + count))
      filled += count
    }
  }

  private static func pageNumber(of address: PhysicalAddress) -> UInt64? {
    let (number, rest) = address.rawValue.quotientAndRemainder(dividingBy: UInt64(pageSize))
    return rest == 0 ? number : nil
  }
}
