import X86

/// A name with its value, as a line shows them.
struct PrintedPair {
  var name: PrintedName
  var value: UInt64
  /// Whether the value has 16 digits.
  var isWide = false
  /// Whether the value has 8 or 16 digits, as a whole register has that is printed with its zeroes.
  var isOfFullWidth = false
  /// Whether the value is hexadecimal for sure: a vector of two digits, as `14`, may be decimal.
  var isHexadecimal = true
  /// The selector in front of a pointer (`0008:`).
  var selector: UInt16?
  /// A segment that is shown with its descriptor.
  var segment: Segment?
  /// A descriptor table's.
  var limit: UInt16?
  /// Whether it may begin a dump by itself: the first word of its line, of a register that programs begin with, or a pointer with its selector.
  var isAlone = false

  var isOfException: Bool { name == .vector || name == .errorCode }
}

/// Finds the pairs in a line.
struct PrintedPairs {
  private(set) var pairs: [PrintedPair] = []

  init(_ line: LogLine) {
    let bytes = line.bytes
    var index = bytes.startIndex
    var isFirst = true
    while index < bytes.endIndex {
      guard Self.isOfName(bytes[index]) else {
        // rsyslog writes a tab as `#011` (EscapeControlCharactersOnReceive).
        index += bytes[index] == UInt8(ascii: "#") && bytes[index...].starts(with: "#011".utf8) ? 4 : 1
        continue
      }
      let end = bytes[index...].firstIndex { !Self.isOfName($0) } ?? bytes.endIndex
      let word = String(decoding: bytes[index..<end], as: UTF8.self).lowercased()
      var scanner = LineScanner(bytes[end...])
      if let name = Self.longName(word, &scanner) ?? PrintedName(word), var pair = Self.value(of: name, &scanner) {
        pair.isAlone = isFirst && name.canBeginAlone || PrintedName.isOfVMCS(word) || pair.selector != nil
        pairs.append(pair)
        index = scanner.rest.startIndex
      } else if let name = PrintedName(short: word), let pair = Self.value(of: name, &scanner), pair.isOfFullWidth {
        pairs.append(pair)
        index = scanner.rest.startIndex
      } else if word == "iopl", let flags = Self.flags(bytes[end...]) {
        pairs.append(PrintedPair(name: .number(.rflags), value: flags))
        return
      } else {
        index = end
      }
      isFirst = false
    }
  }

  /// `00049935377i[CPU0  ] | RAX=0000000000001020  RBX=ffff800000104f00`, which has QEMU's names.
  static func isOfBochs(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    return scanner.skip(past: "[CPU") && scanner.skip(past: "] | ")
  }

  /// A name of several words, of which `word` is the first: `instruction pointer	= 0x20:0xffffffff80bd1a2e` (FreeBSD
  /// sys/amd64/amd64/trap.c: trap_fatal, 14).
  private static func longName(_ word: String, _ scanner: inout LineScanner) -> PrintedName? {
    switch word {
    // Zephyr, Haiku, XNU, and most that print their own; SerenityOS calls it so (Kernel/Arch/x86: dump_registers).
    case "error" where skip("code", &scanner), "exception" where skip("code", &scanner): .errorCode
    case "fault" where skip("address", &scanner), "faulting" where skip("address", &scanner): .number(.cr2)
    // Oak (stage0, restricted kernel).
    case "faulting" where skip("virtual", &scanner) && skip("address", &scanner): .number(.cr2)
    case "instruction" where skip("pointer", &scanner): .number(.rip)
    case "stack" where skip("pointer", &scanner): .number(.rsp)
    case "frame" where skip("pointer", &scanner): .number(.rbp)
    // Patina (core/patina_internal_cpu, x64).
    case "code" where skip("segment", &scanner): .segment(.cs)
    case "stack" where skip("segment", &scanner): .segment(.ss)
    case "page" where skip("directory", &scanner) && skip("base", &scanner): .number(.cr3)
    default: nil
    }
  }

  /// A blank and a word, in letters of either case.
  private static func skip(_ word: String, _ scanner: inout LineScanner) -> Bool {
    var copy = scanner
    guard copy.skip(" ") else { return false }
    let end = copy.rest.firstIndex { !isOfName($0) } ?? copy.rest.endIndex
    guard String(decoding: copy.rest[..<end], as: UTF8.self).lowercased() == word else { return false }
    scanner = LineScanner(copy.rest[end...])
    return true
  }

  private static func isOfName(_ byte: UInt8) -> Bool {
    Byte.isDigit(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == UInt8(ascii: "_")
  }

  /// `=0 id vip vif ac vm rf nt of df IF tf sf zf af PF cf`: Bochs writes flags that are set in capitals.
  private static func flags(_ bytes: ArraySlice<UInt8>) -> UInt64? {
    let words = bytes.split(whereSeparator: Byte.isBlank).map { String(decoding: $0, as: UTF8.self) }
    let names: [(String, UInt64)] = [
      ("id", 21), ("vip", 20), ("vif", 19), ("ac", 18), ("vm", 17), ("rf", 16), ("nt", 14), ("of", 11), ("df", 10),
      ("if", 9), ("tf", 8), ("sf", 7), ("zf", 6), ("af", 4), ("pf", 2), ("cf", 0),
    ]
    guard words.count == names.count + 1, let level = words[0].last?.hexDigitValue, level <= 3 else { return nil }
    var value = UInt64(level) << 12 | 2
    for (word, (name, bit)) in zip(words.dropFirst(), names) {
      guard word.lowercased() == name else { return nil }
      if word != name { value |= 1 << bit }
    }
    return value
  }

  // MARK: Values

  private static func value(of name: PrintedName, _ scanner: inout LineScanner) -> PrintedPair? {
    guard separator(&scanner) || name == .vector && isPageFault(scanner) else { return nil }
    switch name {
    case .segment: return segment(name, &scanner)
    case .table: return table(name, &scanner)
    // A decimal number is not told from a hexadecimal one.
    case .vector: return vector(&scanner)
    case .errorCode: return number(name, &scanner).flatMap { $0.value > 0xFFFF_FFFF || !$0.isHexadecimal ? nil : $0 }
    case .number:
      if let pointer = pointer(name, &scanner) { return pointer }
      // A selector with an offset that cannot be read is no number.
      return number(name, &scanner).flatMap { scanner.rest.first == UInt8(ascii: ":") ? nil : $0 }
    }
  }

  /// `14` is decimal: vector 14H, #VE, is raised only where the hypervisor wants it (SDM vol. 3, 26.5.7).
  private static func isPageFault(_ scanner: LineScanner) -> Bool {
    var copy = scanner
    copy.skipBlanks()
    return copy.skip("14") && copy.rest.first.map(isOfName) != true
  }

  private static func vector(_ scanner: inout LineScanner) -> PrintedPair? {
    let isPageFault = isPageFault(scanner)
    scanner.skipBlanks()
    guard var pair = number(.vector, &scanner), pair.value <= 0xFF, pair.isHexadecimal || isPageFault else {
      return nil
    }
    if isPageFault { (pair.value, pair.isHexadecimal) = (14, true) }
    return pair
  }

  /// `=`, `: `, ` - ` and ` = `; blanks alone only where `0x` or a zero follows.
  private static func separator(_ scanner: inout LineScanner) -> Bool {
    // `Fault address (CR2): 0x41`.
    _ = scanner.skip(")")
    let before = scanner
    scanner.skipBlanks()
    let isMarked = scanner.skip("=") || scanner.skip(":") || scanner.skip("- ")
    scanner.skipBlanks()
    if isMarked { return true }
    var (copy, zero) = (scanner, scanner)
    return scanner.rest.startIndex > before.rest.startIndex && (copy.skip("0x") || zero.skip("0") && zero.isAtEnd)
  }

  /// A number that ends with its word; Bochs's debugger and others put a mark between its halves.
  private static func hex(_ scanner: inout LineScanner) -> (value: UInt64, digits: Int, isCertain: Bool)? {
    // Pascal writes $.
    let isPrefixed = scanner.skip("0x") || scanner.skip("$")
    let start = scanner.rest
    var value: UInt64 = 0
    var digits = 0
    while let byte = scanner.rest.first {
      if let digit = Byte.hexDigit(byte) {
        guard digits < 16 else { return nil }
        value = value << 4 | UInt64(digit)
        digits += 1
      } else if digits == 8, [UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "'")].contains(byte) {
        // The other half follows.
      } else {
        break
      }
      scanner.skipByte()
    }
    if let next = scanner.rest.first, isOfName(next) { return nil }
    guard digits > 0 else { return nil }
    let isCertain =
      isPrefixed || digits != 2 || start.first == UInt8(ascii: "0")
      || start.prefix(digits).contains { !Byte.isDigit($0) }
    return (value, isPrefixed && digits < 8 ? 8 : digits, isCertain)
  }

  private static func number(_ name: PrintedName, _ scanner: inout LineScanner) -> PrintedPair? {
    var copy = scanner
    guard let number = hex(&copy) else { return nil }
    scanner = copy
    return PrintedPair(
      name: name, value: number.value, isWide: number.digits == 16, isOfFullWidth: [8, 16].contains(number.digits),
      isHexadecimal: number.isCertain)
  }

  /// `0060:[<c0123456>]`, `e008:[<ffff82d08023b2f8>]`, `0018:ffffffffb4c03e40`.
  private static func pointer(_ name: PrintedName, _ scanner: inout LineScanner) -> PrintedPair? {
    guard [.number(.rip), .number(.rsp), .number(.rbp)].contains(name) else { return nil }
    var copy = scanner
    _ = copy.skip("0x")
    guard let selector = copy.hex(), selector.digits <= 4, copy.skip(":") else { return nil }
    // Web pages make `[ [<` of Linux's `[<`.
    _ = copy.skip("[ ")
    _ = copy.skip("[<")
    guard let offset = hex(&copy) else { return nil }
    scanner = copy
    return PrintedPair(
      name: name, value: offset.value, isWide: offset.digits == 16,
      selector: UInt16(truncatingIfNeeded: selector.value))
  }

  /// `0008`, `0000000000000038`, `0008( 0001| 0|  0) 00000000 ffffffff 1 1` and `{0008 base=… limit=… flags=0000c09b}`.
  private static func segment(_ name: PrintedName, _ scanner: inout LineScanner) -> PrintedPair? {
    var copy = scanner
    let isDescribed = copy.skip("{")
    guard let number = hex(&copy), let selector = UInt16(exactly: number.value) else { return nil }
    var pair = PrintedPair(name: name, value: number.value)
    if isDescribed {
      pair.segment = described(selector, &copy)
    } else if copy.skip("("), copy.skip(past: ")") {
      pair.segment = ofBochs(selector, name, &copy)
    }
    scanner = copy
    return pair
  }

  private static func described(_ selector: UInt16, _ scanner: inout LineScanner) -> Segment? {
    guard scanner.skip(past: "base="), let base = scanner.hex(), scanner.skip(past: "limit="),
      let limit = scanner.hex(),
      scanner.skip(past: "flags="), let flags = scanner.hex(), scanner.skip("}")
    else { return nil }
    return Segment(
      selector: SegmentSelector(rawValue: selector), base: base.value, limit: UInt32(truncatingIfNeeded: limit.value),
      attributes: SegmentAttributes(rawValue: UInt32(truncatingIfNeeded: flags.value) << 8))
  }

  /// Base, limit, G and D; of the rest Bochs shows nothing. A selector that is loaded is of code in CS, and of data elsewhere.
  private static func ofBochs(_ selector: UInt16, _ name: PrintedName, _ scanner: inout LineScanner) -> Segment? {
    var values: [UInt64] = []
    for _ in 0..<4 {
      scanner.skipBlanks()
      guard let value = scanner.hex() else { return nil }
      values.append(value.value)
    }
    var attributes: SegmentAttributes = [.present, .codeOrData, .writableOrReadable, .accessed]
    if name == .segment(.cs) { attributes.insert(.code) }
    if values[2] != 0 { attributes.insert(.granularity) }
    if values[3] != 0 { attributes.insert(.big) }
    attributes.insert(SegmentAttributes(rawValue: UInt32(selector & 3) << 13))
    return Segment(
      selector: SegmentSelector(rawValue: selector), base: values[0], limit: UInt32(truncatingIfNeeded: values[1]),
      attributes: attributes)
  }

  /// `00000000079EEA98 0000000000000047` and `00000000001010c8:0037`.
  private static func table(_ name: PrintedName, _ scanner: inout LineScanner) -> PrintedPair? {
    var copy = scanner
    guard let base = hex(&copy) else { return nil }
    var pair = PrintedPair(name: name, value: base.value)
    var rest = copy
    if rest.skip(":") || rest.rest.first.map(Byte.isBlank) == true {
      rest.skipBlanks()
      if let limit = hex(&rest) {
        pair.limit = UInt16(exactly: limit.value)
        copy = rest
      }
    }
    scanner = copy
    return pair
  }
}
