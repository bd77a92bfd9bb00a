/// A conversion of a format string: `%-8.3llx` (lib/vsprintf.c: format_decode, Linux 6.19).
struct PrintConversion: Hashable, Sendable {
  enum Size: Hashable, Sendable {
    case fixed(Int)
    /// `*`: the next argument, an int.
    case argument
  }

  enum Kind: Hashable, Sendable {
    case percent
    case signed
    case unsigned
    case hexadecimal
    case octal
    case character
    case string
    /// `%p` with the letters that follow it.
    case pointer(String)
  }

  var isLeftAligned = false
  var hasPlus = false
  var hasBlank = false
  var isAlternate = false
  var isZeroPadded = false
  var isUpperCase = false
  var width: Size?
  var precision: Size?
  /// Of the argument, in bytes.
  var argumentSize = 4
  var kind = Kind.percent

  /// Reads a conversion whose percent sign is at `offset`, and moves behind it; nil for one this does not know.
  init?(_ text: [UInt8], at offset: inout Int, longSize: Int) {
    var index = offset + 1
    func byte() -> UInt8 { index < text.count ? text[index] : 0 }

    flags: while true {
      switch byte() {
      case UInt8(ascii: "-"): isLeftAligned = true
      case UInt8(ascii: "+"): hasPlus = true
      case UInt8(ascii: " "): hasBlank = true
      case UInt8(ascii: "#"): isAlternate = true
      case UInt8(ascii: "0"): isZeroPadded = true
      default: break flags
      }
      index += 1
    }
    func size() -> Size? {
      if byte() == UInt8(ascii: "*") {
        index += 1
        return .argument
      }
      guard byte().isDigit else { return nil }
      var value = 0
      while byte().isDigit {
        value = min(value * 10 + Int(byte() - UInt8(ascii: "0")), Self.largestWidth)
        index += 1
      }
      return .fixed(value)
    }
    width = size()
    if byte() == UInt8(ascii: ".") {
      index += 1
      precision = size() ?? .fixed(0)
    }
    switch byte() {
    case UInt8(ascii: "h"):
      argumentSize = 2
      index += 1
      if byte() == UInt8(ascii: "h") {
        argumentSize = 1
        index += 1
      }
    case UInt8(ascii: "l"):
      argumentSize = longSize
      index += 1
      if byte() == UInt8(ascii: "l") {
        argumentSize = 8
        index += 1
      }
    case UInt8(ascii: "L"), UInt8(ascii: "q"), UInt8(ascii: "j"):
      argumentSize = 8
      index += 1
    case UInt8(ascii: "z"), UInt8(ascii: "Z"), UInt8(ascii: "t"):
      argumentSize = longSize
      index += 1
    default: break
    }
    let letter = byte()
    index += 1
    switch letter {
    case UInt8(ascii: "%"): kind = .percent
    case UInt8(ascii: "d"), UInt8(ascii: "i"): kind = .signed
    case UInt8(ascii: "u"): kind = .unsigned
    case UInt8(ascii: "x"): kind = .hexadecimal
    case UInt8(ascii: "X"):
      kind = .hexadecimal
      isUpperCase = true
    case UInt8(ascii: "o"): kind = .octal
    case UInt8(ascii: "c"): kind = .character
    case UInt8(ascii: "s"): kind = .string
    case UInt8(ascii: "p"):
      argumentSize = longSize
      let start = index
      while byte().isLetter || byte().isDigit { index += 1 }
      kind = .pointer(String(decoding: text[start..<index], as: UTF8.self))
    default: return nil
    }
    offset = min(index, text.count)
  }

  /// No field is made wider than this, whatever the text says; real ones are a few dozen bytes.
  static let largestWidth = 1024

  /// Whether nothing but the conversion's kind and length is given.
  var isPlain: Bool {
    width == nil && precision == nil && !isLeftAligned && !hasPlus && !hasBlank && !isAlternate && !isUpperCase
  }

  /// The conversion that, after `0x`, prints what this one prints; nil if it is not `%#llx`, `%#016llx` and the like.
  var withoutPrefix: PrintConversion? {
    guard kind == .hexadecimal, isAlternate, !isUpperCase else { return nil }
    var rest = self
    rest.isAlternate = false
    if case .fixed(let width) = width {
      guard isZeroPadded, width >= 2 else { return nil }
      rest.width = .fixed(width - 2)
    }
    return rest.isPlain || rest.zeroPaddedHexadecimalWidth != nil ? rest : nil
  }

  /// Whether this is `%016llx` and the like, and the number of its digits.
  var zeroPaddedHexadecimalWidth: Int? {
    guard kind == .hexadecimal, isZeroPadded, case .fixed(let width) = width, width <= 16 else { return nil }
    var rest = self
    rest.width = nil
    return rest.isPlain ? width : nil
  }
}

extension TextBuffer {
  /// Appends a number as the conversion says (lib/vsprintf.c: number, Linux 6.19).
  ///
  /// - Parameter value: extended to 64 bits by the conversion's signedness.
  mutating func append(_ value: UInt64, _ conversion: PrintConversion, width: Int, precision: Int?) {
    let start = count
    let isNegative = conversion.kind == .signed && Int64(bitPattern: value) < 0
    if isNegative {
      append(UInt8(ascii: "-"))
    } else if conversion.kind == .signed, conversion.hasPlus {
      append(UInt8(ascii: "+"))
    } else if conversion.kind == .signed, conversion.hasBlank {
      append(UInt8(ascii: " "))
    }
    // The kernel, unlike a C library, writes the prefix of a hexadecimal 0 too.
    if conversion.isAlternate, conversion.kind == .hexadecimal { append("0x") }
    if conversion.isAlternate, conversion.kind == .octal, value != 0 { append(UInt8(ascii: "0")) }
    let digits = count
    switch conversion.kind {
    case .hexadecimal: appendHexadecimal(value)
    case .octal: appendOctal(value)
    default: appendDecimal(isNegative ? 0 &- value : value)
    }
    if conversion.isUpperCase { uppercase(from: start) }
    let missingDigits = min(precision ?? 0, PrintConversion.largestWidth) - (count - digits)
    insert(repeating: UInt8(ascii: "0"), count: missingDigits, at: digits)
    if conversion.isZeroPadded, !conversion.isLeftAligned, precision == nil {
      insert(repeating: UInt8(ascii: "0"), count: width - (count - start), at: digits)
    }
    align(from: start, width: width, isLeftAligned: conversion.isLeftAligned)
  }

  /// Fills what begins at `start` up to this width with blanks.
  mutating func align(from start: Int, width: Int, isLeftAligned: Bool) {
    let missing = min(width, PrintConversion.largestWidth) - (count - start)
    if isLeftAligned {
      append(repeating: UInt8(ascii: " "), count: missing)
    } else {
      insert(repeating: UInt8(ascii: " "), count: missing, at: start)
    }
  }
}
