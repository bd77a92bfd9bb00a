public import X86

/// How two states of an address space differ: of two dumps, or of two moments of one guest.
public struct AddressSpaceDifference: Hashable, Sendable {
  /// A run of linear addresses that is mapped differently.
  public struct Change: Hashable, Sendable {
    public var start: LinearAddress
    public var size: UInt64
    /// The pages there before; nil where nothing was mapped.
    public var before: MappedRange?
    /// The pages there after; nil where nothing is mapped.
    public var after: MappedRange?
  }

  /// By ascending address.
  public private(set) var changes: [Change] = []

  /// Compares the ranges of two scans, each by ascending linear address.
  public init(from before: [MappedRange], to after: [MappedRange]) {
    var old = before[...]
    var new = after[...]
    while let start = [old.first?.start, new.first?.start].compactMap(\.self).min() {
      let left = old.first.flatMap { $0.start == start ? $0 : nil }
      let right = new.first.flatMap { $0.start == start ? $0 : nil }
      // Up to where the first of the two ends, or where the other one begins.
      let size = [
        left?.size, right?.size, left == nil ? old.first.map { $0.start.rawValue - start.rawValue } : nil,
        right == nil ? new.first.map { $0.start.rawValue - start.rawValue } : nil,
      ].compactMap(\.self).min()
      guard let size, size > 0 else { return }
      if left.map({ $0.leading(size) }) != right.map({ $0.leading(size) }) {
        changes.append(
          Change(start: start, size: size, before: left?.leading(size), after: right?.leading(size)))
      }
      if left != nil { old.dropLeading(size) }
      if right != nil { new.dropLeading(size) }
    }
  }
}

extension MappedRange {
  /// The first `size` bytes.
  fileprivate func leading(_ size: UInt64) -> MappedRange {
    var range = self
    range.size = size
    return range
  }
}

extension ArraySlice<MappedRange> {
  /// Removes the first `size` bytes of the first range.
  fileprivate mutating func dropLeading(_ size: UInt64) {
    guard let range = first else { return }
    guard range.size > size else {
      removeFirst()
      return
    }
    var rest = range
    rest.start = LinearAddress(range.start.rawValue &+ size)
    rest.physicalStart = PhysicalAddress(range.physicalStart.rawValue &+ size)
    rest.size = range.size - size
    self[startIndex] = rest
  }
}
