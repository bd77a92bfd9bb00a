/// A place in a text of bytes, and the few steps that parsers of kernel text are made of.
///
/// A step that does not find what it looks for leaves the cursor where it was and says so; no step goes past the end.
public struct TextCursor: ~Escapable {
  public let text: Span<UInt8>
  /// The offset of the next byte, at most `text.count`.
  public private(set) var offset: Int

  @_lifetime(copy text)
  public init(_ text: Span<UInt8>) {
    self.text = text
    offset = 0
  }

  public var isAtEnd: Bool { offset >= text.count }

  /// The next byte; nil at the end.
  public var next: UInt8? { offset < text.count ? text[offset] : nil }

  /// The byte this far after the next one; nil past the end.
  public func peek(_ distance: Int) -> UInt8? {
    distance >= 0 && distance < text.count - offset ? text[offset + distance] : nil
  }

  /// What has not been read.
  public var rest: Span<UInt8> {
    @_lifetime(copy self)
    get { text.extracting(offset..<text.count) }
  }

  /// Goes to this offset, or to the end if it lies beyond.
  @_lifetime(self: copy self)
  public mutating func move(to newOffset: Int) { offset = min(max(newOffset, 0), text.count) }

  @_lifetime(self: copy self)
  public mutating func skipByte() { offset = min(offset + 1, text.count) }

  /// Reads over blanks and tabs.
  @_lifetime(self: copy self)
  public mutating func skipBlanks() {
    while offset < text.count, text[offset].isBlank { offset += 1 }
  }

  @_lifetime(self: copy self)
  public mutating func skip(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    offset += 1
    return true
  }

  /// Reads over this text if it comes next.
  @_lifetime(self: copy self)
  public mutating func skip(_ literal: String) -> Bool {
    guard text.hasPrefix(literal, at: offset) else { return false }
    offset += literal.utf8.count
    return true
  }

  /// Goes to the next byte of this value; false, without moving, if there is none.
  @_lifetime(self: copy self)
  public mutating func skip(upTo byte: UInt8) -> Bool {
    guard let found = text.firstIndex(of: byte, from: offset) else { return false }
    offset = found
    return true
  }

  /// The bytes up to the next blank, tab or the end.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func takeWord() -> Span<UInt8> {
    let start = offset
    while offset < text.count, !text[offset].isBlank { offset += 1 }
    return text.extracting(start..<offset)
  }

  /// A C identifier; empty if none comes next.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func takeIdentifier() -> Span<UInt8> {
    let start = offset
    guard let first = next, first.isIdentifierByte, !first.isDigit else { return text.extracting(start..<start) }
    while offset < text.count, text[offset].isIdentifierByte { offset += 1 }
    return text.extracting(start..<offset)
  }

  /// Decimal digits; nil if none come next or the number does not fit.
  @_lifetime(self: copy self)
  public mutating func takeDecimal() -> UInt64? {
    var value: UInt64 = 0
    var end = offset
    while end < text.count, text[end].isDigit {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(text[end] - UInt8(ascii: "0")))
      guard !overflow, !carry else { return nil }
      value = sum
      end += 1
    }
    guard end > offset else { return nil }
    offset = end
    return value
  }

  /// Decimal digits with an optional minus sign.
  @_lifetime(self: copy self)
  public mutating func takeSignedDecimal() -> Int64? {
    let start = offset
    let isNegative = skip(UInt8(ascii: "-"))
    guard let magnitude = takeDecimal() else {
      offset = start
      return nil
    }
    if isNegative, magnitude == UInt64(Int64.max) + 1 { return .min }
    guard let value = Int64(exactly: magnitude) else {
      offset = start
      return nil
    }
    return isNegative ? -value : value
  }

  /// Hexadecimal digits, with or without `0x`; nil if none come next or the number does not fit.
  @_lifetime(self: copy self)
  public mutating func takeHexadecimal() -> UInt64? {
    var end = offset
    if peek(0) == UInt8(ascii: "0"), peek(1) == UInt8(ascii: "x"), peek(2)?.hexadecimalDigit != nil { end += 2 }
    let start = end
    var value: UInt64 = 0
    while end < text.count, let digit = text[end].hexadecimalDigit {
      guard value >> 60 == 0 else { return nil }
      value = value << 4 | UInt64(digit)
      end += 1
    }
    guard end > start else { return nil }
    offset = end
    return value
  }
}

extension UInt8 {
  /// Whether this is a blank or a tab.
  @inlinable public var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }

  @inlinable public var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }

  @inlinable public var isLetter: Bool { (self | 0x20) &- UInt8(ascii: "a") < 26 }

  @inlinable public var isIdentifierByte: Bool { isLetter || isDigit || self == UInt8(ascii: "_") }

  /// The value of a hexadecimal digit.
  @inlinable public var hexadecimalDigit: UInt8? {
    if isDigit { return self &- UInt8(ascii: "0") }
    let letter = (self | 0x20) &- UInt8(ascii: "a")
    return letter < 6 ? letter &+ 10 : nil
  }
}

extension Span where Element == UInt8 {
  /// Whether these bytes are exactly the literal's.
  public func equals(_ literal: String) -> Bool {
    count == literal.utf8.count && hasPrefix(literal, at: 0)
  }

  public func hasPrefix(_ literal: String, at offset: Int = 0) -> Bool {
    guard offset >= 0, offset <= count, count - offset >= literal.utf8.count else { return false }
    var index = offset
    for byte in literal.utf8 {
      guard self[index] == byte else { return false }
      index += 1
    }
    return true
  }

  public func hasSuffix(_ literal: String) -> Bool {
    hasPrefix(literal, at: count - literal.utf8.count)
  }

  public func firstIndex(of byte: UInt8, from start: Int = 0) -> Int? {
    var index = start
    while index < count {
      if self[index] == byte { return index }
      index += 1
    }
    return nil
  }

  /// The offset at which the literal first occurs.
  public func firstIndex(of literal: String, from start: Int = 0) -> Int? {
    guard let first = literal.utf8.first else { return start <= count ? start : nil }
    var index = start
    while let candidate = firstIndex(of: first, from: index) {
      if hasPrefix(literal, at: candidate) { return candidate }
      index = candidate + 1
    }
    return nil
  }

  /// The bytes without blanks, tabs, carriage returns and NULs at either end.
  public var trimmed: Span<UInt8> {
    @_lifetime(copy self)
    get {
      var start = 0
      var end = count
      while start < end, Self.isPadding(self[start]) { start += 1 }
      while end > start, Self.isPadding(self[end - 1]) { end -= 1 }
      return extracting(start..<end)
    }
  }

  private static func isPadding(_ byte: UInt8) -> Bool {
    byte.isBlank || byte == UInt8(ascii: "\r") || byte == 0
  }

  /// The bytes as text; what is no UTF-8 becomes U+FFFD.
  public var string: String {
    var copy: [UInt8] = []
    copy.reserveCapacity(count)
    for index in indices { copy.append(self[index]) }
    return String(decoding: copy, as: UTF8.self)
  }
}

extension RawSpan {
  /// The same bytes, as those of a text.
  public var text: Span<UInt8> {
    @_lifetime(copy self)
    get {
      Span<UInt8>(_bytes: self)
    }
  }
}

extension Span where Element == UInt8 {
  /// The same bytes, as those of a record.
  public var record: RawSpan {
    @_lifetime(copy self)
    get {
      // Safe: a UInt8 has no padding.
      unsafe bytes
    }
  }
}
