extension MutableSpan where Element == UInt8 {
  /// Replaces the bytes from `place` on by `bytes`, all of which must fit.
  @inlinable
  @_lifetime(self: copy self)
  public mutating func replace(at place: Int, with bytes: borrowing RawSpan) {
    let count = bytes.byteCount
    precondition(place >= 0 && place <= self.count && count <= self.count &- place)
    // In bounds by the check above. Byte by byte it would take a bounds check for each.
    unsafe withUnsafeMutableBytes { destination in
      unsafe bytes.withUnsafeBytes { source in
        guard let to = destination.baseAddress, let from = source.baseAddress else { return }
        unsafe (to + place).copyMemory(from: from, byteCount: count)
      }
    }
  }
}
