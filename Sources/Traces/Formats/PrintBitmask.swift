import Files

/// A bitmap of the kernel: an array of `unsigned long`.
struct PrintBitmask: ~Escapable {
  private let record: RawSpan
  private let start: Int
  private let bits: Int
  private let longSize: Int
  private let isBigEndian: Bool

  @_lifetime(copy record)
  init(_ record: RawSpan, start: Int, bits: Int, longSize: Int, byteOrder: ByteOrder) {
    self.record = record
    self.start = start
    self.bits = bits
    self.longSize = longSize
    isBigEndian = byteOrder == .bigEndian
  }

  private func bit(_ index: Int) -> Bool {
    let byte = index / 8
    // On a big-endian machine the bytes of each long are the other way round.
    let place = isBigEndian ? byte / longSize * longSize + (longSize - 1 - byte % longSize) : byte
    guard start + place < record.byteCount else { return false }
    return record.byte(at: start + place) >> UInt8(index % 8) & 1 == 1
  }

  /// `%*pb`: groups of 32 bits in hexadecimal, the highest first (lib/vsprintf.c: bitmap_string, Linux 6.19).
  func print(_ buffer: inout TextBuffer) {
    var end = bits
    while end > 0 {
      let first = (end - 1) / 32 * 32
      var group: UInt64 = 0
      for index in first..<end where bit(index) { group |= 1 << UInt64(index - first) }
      if end < bits { buffer.append(UInt8(ascii: ",")) }
      buffer.appendHexadecimal(group, width: (end - first + 3) / 4)
      end = first
    }
  }

  /// `%*pbl`: `0-3,7` (lib/vsprintf.c: bitmap_list_string, Linux 6.19).
  func printList(_ buffer: inout TextBuffer) {
    var index = 0
    var isFirst = true
    while index < bits {
      guard bit(index) else {
        index += 1
        continue
      }
      var last = index
      while last + 1 < bits, bit(last + 1) { last += 1 }
      if !isFirst { buffer.append(UInt8(ascii: ",")) }
      isFirst = false
      buffer.appendDecimal(UInt64(index))
      if last > index {
        buffer.append(UInt8(ascii: "-"))
        buffer.appendDecimal(UInt64(last))
      }
      index = last + 1
    }
  }
}
