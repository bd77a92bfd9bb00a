/// Gives pages of guest-physical memory that is not mapped here.
protocol PageReader {
  /// The 4096 bytes at `address`, a multiple of 4096 in a page that is all memory; nil where they cannot be had.
  func page(at address: UInt64) -> [UInt8]?

  /// Fills `places` of the buffer with the bytes from `address` on, in one piece; false where that is not possible. Then
  /// they may have been filled in part.
  func read(_ address: UInt64, into buffer: inout MutableSpan<UInt8>, at places: Range<Int>) -> Bool
}

extension PageReader {
  func read(_ address: UInt64, into buffer: inout MutableSpan<UInt8>, at places: Range<Int>) -> Bool { false }
}

/// Pages as the monitor prints them: works with every QEMU that answers, and slowly.
struct MonitorPages: PageReader {
  let monitor: (String) -> String?

  func page(at address: UInt64) -> [UInt8]? {
    guard let text = monitor("xp /512gx 0x" + String(address, radix: 16)) else { return nil }
    guard let bytes = Self.bytes(in: text), bytes.count == 4096 else { return nil }
    return bytes
  }

  /// The bytes in the monitor's answer to `xp /512gx`: lines of `ADDRESS: 0xWORD 0xWORD`, each word of 16 digits; nil for any
  /// other text.
  static func bytes(in text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(4096)
    for line in text.utf8.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
      for word in line[line.index(after: colon)...].split(separator: UInt8(ascii: " ")) {
        guard word.starts(with: "0x".utf8), let value = UInt64(Substring(word.dropFirst(2)), radix: 16) else {
          return nil
        }
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
      }
    }
    return bytes
  }
}
