public import X86

/// Memory that notes which of its pages were read, so that just those can be kept.
///
/// One thread at a time is to use it.
public final class RecordingMemory: NotingMemory {
  public let plain: any PhysicalMemory
  private var numbers: Set<UInt64> = []
  private var last: UInt64?
  /// The most pages that are noted.
  private let limit: Int
  /// Whether more pages were read than are noted.
  public private(set) var isCut = false

  /// - Parameter limit: How many pages are noted at most, 64 MiB of them unless told otherwise.
  public init(_ source: any PhysicalMemory, limit: Int = 1 << 14) {
    plain = source
    self.limit = limit
  }

  /// The pages that were read, by ascending address.
  public var pages: [PhysicalAddress] { numbers.sorted().map { PhysicalAddress($0 * UInt64(SparseMemory.pageSize)) } }

  public func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    try plain.read(address, into: &buffer)
    guard buffer.count > 0 else { return }
    let size = UInt64(SparseMemory.pageSize)
    let first = address.rawValue / size
    note(first)
    // What could be read does not go beyond the last address.
    let end = (address.rawValue &+ UInt64(buffer.count - 1)) / size
    if end > first { for number in first + 1...end { note(number) } }
  }

  private func note(_ number: UInt64) {
    guard number != last else { return }
    last = number
    guard numbers.count < limit || numbers.contains(number) else {
      isCut = true
      return
    }
    numbers.insert(number)
  }
}
