import Files

/// Addresses and identifiers of a few bytes (lib/vsprintf.c, Linux 6.19).
enum PrintAddress {
  /// Prints the bytes of `range`; false if there are too few.
  static func print(_ step: PrintStep, _ record: RawSpan, _ range: Range<Int>, _ buffer: inout TextBuffer) -> Bool {
    let start = range.lowerBound
    switch step.code {
    case .internet4:
      guard range.count >= 4 else { return false }
      for index in 0..<4 {
        if index > 0 { buffer.append(UInt8(ascii: ".")) }
        let isPadded = step.operand == letters("i4")
        buffer.appendDecimal(
          UInt64(record.byte(at: start + index)), width: isPadded ? 3 : 0, padding: UInt8(ascii: "0"))
      }
    case .internet6:
      guard range.count >= 16 else { return false }
      if step.operand == letters("I6c") {
        printCompressed(record, start, &buffer)
      } else {
        for index in stride(from: 0, to: 16, by: 2) {
          if index > 0, step.operand != letters("i6") { buffer.append(UInt8(ascii: ":")) }
          buffer.appendHexadecimal(UInt64(record.load(UInt16.self, at: start + index, .bigEndian)), width: 4)
        }
      }
    case .hardwareAddress:
      guard range.count >= 6 else { return false }
      for index in 0..<6 {
        if index > 0, step.operand != letters("m") {
          buffer.append(step.operand == letters("MF") ? UInt8(ascii: "-") : UInt8(ascii: ":"))
        }
        buffer.appendHexadecimal(UInt64(record.byte(at: start + index)), width: 2)
      }
    default:
      guard range.count >= 16 else { return false }
      let isLittleEndian = step.operand == letters("Ul") || step.operand == letters("UL")
      let order =
        isLittleEndian
        ? [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
        : [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
      let textStart = buffer.count
      for (index, place) in order.enumerated() {
        if [4, 6, 8, 10].contains(index) { buffer.append(UInt8(ascii: "-")) }
        buffer.appendHexadecimal(UInt64(record.byte(at: start + place)), width: 2)
      }
      if step.operand == letters("UB") || step.operand == letters("UL") { buffer.uppercase(from: textStart) }
    }
    return true
  }

  /// The letters of a conversion as one number.
  private static func letters(_ text: String) -> UInt64 { text.utf8.reduce(0) { $0 << 8 | UInt64($1) } }

  /// `fe80::1`, `::ffff:127.0.0.1`: the longest run of at least two zero groups is left out, and an address of IPv4 is
  /// written as one (ip6_compressed_string).
  private static func printCompressed(_ record: RawSpan, _ start: Int, _ buffer: inout TextBuffer) {
    let groups = (0..<8).map { UInt64(record.load(UInt16.self, at: start + 2 * $0, .bigEndian)) }
    let isIPv4 = groups[..<5].allSatisfy { $0 == 0 } && groups[5] == 0xffff
    let count = isIPv4 ? 6 : 8
    var gap = 0..<0
    for first in 0..<count {
      let run = groups[first..<count].prefix { $0 == 0 }
      if run.count > max(gap.count, 1) { gap = first..<(first + run.count) }
    }
    var index = 0
    while index < count {
      if !gap.isEmpty, index == gap.lowerBound {
        buffer.append("::")
        index = gap.upperBound
        continue
      }
      if index > 0, gap.isEmpty || index != gap.upperBound { buffer.append(UInt8(ascii: ":")) }
      buffer.appendHexadecimal(groups[index])
      index += 1
    }
    guard isIPv4 else { return }
    for index in 12..<16 {
      buffer.append(index == 12 ? UInt8(ascii: ":") : UInt8(ascii: "."))
      buffer.appendDecimal(UInt64(record.byte(at: start + index)))
    }
  }
}
