import X86

/// The line in which NetBSD and OpenBSD show a trap that they cannot handle (sys/arch/amd64/amd64/trap.c: trap, trap_print; NetBSD 5 to 10,
/// OpenBSD 6.3 to 7.5): names and values apart by blanks, hexadecimal, in some versions with 0x.
///
///     trap type 6 code 0x2 rip 0xffffffff80223a11 cs 0x8 rflags 0x10246 cr2 0x18 ilevel 0 rsp 0xffffd9813f6c1d10
enum BSDTrap {
  /// The kernels' own numbers (sys/arch/amd64/include/trap.h), T_USER (100H) aside; nil for what is no exception.
  private static let vectors: [ExceptionVector?] = [
    .invalidOpcode, .breakpoint, nil, nil, .generalProtection, .debug, .pageFault, .alignmentCheck, .divideError,
    .nonMaskableInterrupt, .overflow, .boundRange, .deviceNotAvailable, .doubleFault, nil, .invalidTSS,
    .segmentNotPresent, .stackFault, .machineCheck, .simdFloatingPoint,
  ]

  /// Nil for every other line.
  static func pairs(of line: LogLine) -> [PrintedPair]? {
    var scanner = LineScanner(line.bytes)
    guard scanner.skip(past: "trap type "), let type = scanner.decimal(), scanner.skip(" code ") else { return nil }
    let words = scanner.rest.split(whereSeparator: Byte.isBlank).map { String(decoding: $0, as: UTF8.self) }
    guard words.count >= 3, let code = number(words[0]) else { return nil }
    var pairs: [PrintedPair] = []
    for index in stride(from: 1, to: words.count - 1, by: 2) {
      guard let name = PrintedName(words[index]), let value = number(words[index + 1]) else { continue }
      pairs.append(PrintedPair(name: name, value: value, isWide: name == .number(.rip)))
    }
    guard !pairs.isEmpty, let vector = vectors.indices.contains(type & 0xFF) ? vectors[type & 0xFF] : nil else {
      return pairs
    }
    return pairs + [
      PrintedPair(name: .vector, value: UInt64(vector.rawValue)), PrintedPair(name: .errorCode, value: code),
    ]
  }

  private static func number(_ word: String) -> UInt64? {
    UInt64(word.hasPrefix("0x") ? word.dropFirst(2) : word[...], radix: 16)
  }
}
