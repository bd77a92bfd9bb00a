/// The tokens of a print format: those of C.
enum PrintToken: Hashable, Sendable {
  case identifier(String)
  case integer(UInt64, CInteger)
  /// Adjacent literals are one.
  case string([UInt8])
  case punctuation(String)
  case end
}

/// Splits a print format into tokens, one ahead of its reader.
struct PrintFormatLexer {
  private let text: [UInt8]
  private let longSize: Int
  private var offset = 0
  /// The next token.
  private(set) var token = PrintToken.end
  /// Where the next token begins.
  private(set) var tokenOffset = 0

  init(_ text: [UInt8], longSize: Int) throws(PrintFormatError) {
    self.text = text
    self.longSize = longSize
    try advance()
  }

  func error(_ problem: PrintFormatError.Problem) -> PrintFormatError {
    PrintFormatError(problem: problem, offset: tokenOffset)
  }

  /// That the next token is not what must come here.
  var unexpected: PrintFormatError {
    switch token {
    case .end: error(.unexpectedEnd)
    case .identifier(let name): error(.unexpected("'\(name)'"))
    case .integer(let value, _): error(.unexpected("the number \(value)"))
    case .string: error(.unexpected("a string"))
    case .punctuation(let text): error(.unexpected("'\(text)'"))
    }
  }

  private func peek(_ distance: Int = 0) -> UInt8 {
    offset + distance < text.count ? text[offset + distance] : 0
  }

  mutating func advance() throws(PrintFormatError) {
    skipBlanks()
    tokenOffset = offset
    guard offset < text.count else {
      token = .end
      return
    }
    let byte = peek()
    if byte == UInt8(ascii: "\"") {
      token = .string(try strings())
    } else if byte.isDigit {
      token = number()
    } else if byte == UInt8(ascii: "'") {
      token = try character()
    } else if byte.isIdentifierByte {
      let start = offset
      while peek().isIdentifierByte { offset += 1 }
      token = .identifier(String(decoding: text[start..<offset], as: UTF8.self))
    } else {
      token = .punctuation(punctuation())
    }
  }

  private mutating func skipBlanks() {
    while offset < text.count, peek().isBlank || peek() == UInt8(ascii: "\n") || peek() == UInt8(ascii: "\r") {
      offset += 1
    }
  }

  private mutating func punctuation() -> String {
    let pairs: [String] = ["->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||"]
    for pair in pairs where text.span.hasPrefix(pair, at: offset) {
      offset += 2
      return pair
    }
    offset += 1
    return String(decoding: [text[offset - 1]], as: UTF8.self)
  }

  // MARK: Literals

  private mutating func strings() throws(PrintFormatError) -> [UInt8] {
    var bytes: [UInt8] = []
    repeat {
      offset += 1
      while peek() != UInt8(ascii: "\"") {
        guard offset < text.count else { throw error(.unterminatedString) }
        bytes.append(escapedByte())
      }
      offset += 1
      skipBlanks()
    } while offset < text.count && peek() == UInt8(ascii: "\"")
    return bytes
  }

  private mutating func character() throws(PrintFormatError) -> PrintToken {
    offset += 1
    guard offset < text.count else { throw error(.unexpectedEnd) }
    let byte = escapedByte()
    guard peek() == UInt8(ascii: "'") else { throw error(.unexpected("'")) }
    offset += 1
    return .integer(CInteger(size: 1, isSigned: true).value(of: UInt64(byte)), .int)
  }

  /// A byte of a literal, which may be written as an escape sequence.
  private mutating func escapedByte() -> UInt8 {
    let byte = peek()
    offset += 1
    guard byte == UInt8(ascii: "\\"), offset < text.count else { return byte }
    let escape = peek()
    offset += 1
    switch escape {
    case UInt8(ascii: "n"): return 10
    case UInt8(ascii: "t"): return 9
    case UInt8(ascii: "r"): return 13
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      var value = escape & 7
      for _ in 0..<2 where peek() & 0xf8 == UInt8(ascii: "0") {
        value = value &<< 3 | peek() & 7
        offset += 1
      }
      return value
    case UInt8(ascii: "x"):
      var value: UInt8 = 0
      for _ in 0..<2 {
        guard let digit = peek().hexadecimalDigit else { break }
        value = value &<< 4 | digit
        offset += 1
      }
      return value
    default: return escape
    }
  }

  /// A number, of the first type of its suffix's list that holds it (C11, 6.4.4.1).
  private mutating func number() -> PrintToken {
    var radix: UInt64 = 10
    if peek() == UInt8(ascii: "0") {
      radix = peek(1) | 0x20 == UInt8(ascii: "x") ? 16 : 8
      if radix == 16 { offset += 2 }
    }
    var value: UInt64 = 0
    while let digit = peek().hexadecimalDigit, UInt64(digit) < radix {
      value = value &* radix &+ UInt64(digit)
      offset += 1
    }
    var isUnsigned = false
    var longs = 0
    while peek() | 0x20 == UInt8(ascii: "u") || peek() | 0x20 == UInt8(ascii: "l") {
      if peek() | 0x20 == UInt8(ascii: "u") { isUnsigned = true } else { longs += 1 }
      offset += 1
    }
    let minimumSize = longs == 0 ? 4 : longs == 1 ? longSize : 8
    for size in [4, 8] where size >= minimumSize {
      let bits = UInt64(8 * size)
      if !isUnsigned, value >> (bits - 1) == 0 { return .integer(value, CInteger(size: size, isSigned: true)) }
      let mayBeUnsigned = isUnsigned || radix != 10
      if mayBeUnsigned, bits == 64 || value >> bits == 0 {
        return .integer(value, CInteger(size: size, isSigned: false))
      }
    }
    return .integer(value, CInteger(size: 8, isSigned: false))
  }
}
