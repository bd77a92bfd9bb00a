/// A bitmap of the kernel: an array of `unsigned long`.
struct PrintBitmask: ~Escapable {
  private let record: RawSpan
  private let start: Int
  private let bits: Int
  private let longSize: Int
  private let isBigEndian: Bool

  @_lifetime(copy record)
  init(_ record: RawSpan, start: Int, bits: Int, _ program: PrintProgram) {
    self.record = record
    self.start = start
    self.bits = bits
    longSize = program.longSize
    isBigEndian = program.byteOrder == .bigEndian
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

  /// `fe80::1`: the longest run of at least two zero groups is left out (RFC 5952).
  private static func printCompressed(_ record: RawSpan, _ start: Int, _ buffer: inout TextBuffer) {
    let groups = (0..<8).map { UInt64(record.load(UInt16.self, at: start + 2 * $0, .bigEndian)) }
    var gap = 0..<0
    for first in 0..<8 {
      let run = groups[first...].prefix { $0 == 0 }
      if run.count > max(gap.count, 1) { gap = first..<(first + run.count) }
    }
    var index = 0
    while index < 8 {
      if !gap.isEmpty, index == gap.lowerBound {
        buffer.append("::")
        index = gap.upperBound
        continue
      }
      if index > 0, index != gap.upperBound || gap.isEmpty { buffer.append(UInt8(ascii: ":")) }
      buffer.appendHexadecimal(groups[index])
      index += 1
    }
  }
}
