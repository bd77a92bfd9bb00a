/// Text in the making: bytes in one piece of memory that is used again and again.
///
/// Appending allocates only while the buffer grows to the size it is used for. What keeps it fast is that room is made
/// once for each piece, and short pieces are copied with a little slack behind them instead of byte by byte. This is
/// the one place that writes to memory by address.
@safe
public struct TextBuffer: ~Copyable, @unchecked Sendable {
  /// The room kept behind `count` for pieces that write more bytes than they count.
  private static let slack = 32

  private var storage: UnsafeMutablePointer<UInt8>
  private var capacity: Int
  /// In bytes.
  public private(set) var count = 0

  /// - Parameter capacity: the number of bytes for which no further memory is needed.
  public init(capacity: Int = 4096) {
    self.capacity = max(capacity, 64) + Self.slack
    unsafe storage = .allocate(capacity: self.capacity)
  }

  deinit { unsafe storage.deallocate() }

  public var bytes: Span<UInt8> {
    @_lifetime(borrow self)
    get {
      // Safe: `count` bytes are initialised, and the span cannot outlive the borrow of the buffer.
      let span = unsafe Span(_unsafeStart: storage, count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The text; what is no UTF-8 becomes U+FFFD.
  public var string: String { bytes.string }

  /// Empties the buffer and keeps its memory.
  public mutating func removeAll() { count = 0 }

  /// Shortens the text to this many bytes, if it is longer.
  public mutating func truncate(to newCount: Int) { count = min(count, max(newCount, 0)) }

  // MARK: Bytes

  @inline(__always)
  public mutating func append(_ byte: UInt8) {
    reserve(1)
    unsafe storage[count] = byte
    count &+= 1
  }

  public mutating func append(_ bytes: Span<UInt8>) {
    append(bytes, 0, bytes.count)
  }

  public mutating func append(_ text: String) {
    for byte in text.utf8 { append(byte) }
  }

  /// Appends `length` bytes from `offset` on, all of which must lie inside.
  @inline(__always)
  mutating func append(_ bytes: Span<UInt8>, _ offset: Int, _ length: Int) {
    unsafe bytes.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress, offset >= 0, length >= 0, offset <= bytes.count &- length else { return }
      unsafe append(base + offset, length, available: bytes.count &- offset)
    }
  }

  /// Appends `length` bytes from `offset` on, all of which must lie inside.
  @inline(__always)
  mutating func append(_ bytes: FrozenArray<UInt8>, _ offset: Int, _ length: Int) {
    unsafe bytes.withElements(from: offset) { base, available in
      guard length <= available else { return }
      unsafe append(base, length, available: available)
    }
  }

  /// Appends `length` of the `available` bytes at an address.
  @inline(__always)
  private mutating func append(_ base: UnsafePointer<UInt8>, _ length: Int, available: Int) {
    reserve(length)
    let end = unsafe storage + count
    if length <= 16, available >= 16 {
      // Both sides have 16 bytes: `slack` sees to this one.
      let piece = unsafe UnsafeRawPointer(base).loadUnaligned(as: SIMD16<UInt8>.self)
      unsafe UnsafeMutableRawPointer(end).storeBytes(of: piece, as: SIMD16<UInt8>.self)
    } else {
      unsafe end.update(from: base, count: length)
    }
    count &+= length
  }

  /// Appends this many of the same byte.
  public mutating func append(repeating byte: UInt8, count length: Int) {
    guard length > 0 else { return }
    reserve(length)
    unsafe (storage + count).update(repeating: byte, count: length)
    count &+= length
  }

  /// Puts bytes before what follows `offset`, to right-align it.
  mutating func insert(repeating byte: UInt8, count length: Int, at offset: Int) {
    guard length > 0, offset <= count else { return }
    reserve(length)
    unsafe (storage + offset + length).update(from: storage + offset, count: count - offset)
    unsafe (storage + offset).update(repeating: byte, count: length)
    count &+= length
  }

  // MARK: Numbers

  /// Lower-case hexadecimal, without leading zeros.
  @inline(__always)
  public mutating func appendHexadecimal(_ value: UInt64) {
    let digits = max(1, (67 &- value.leadingZeroBitCount) >> 2)
    appendHexadecimalDigits(value &<< UInt64(64 &- 4 &* digits), digits)
  }

  /// Lower-case hexadecimal, with zeros before it up to `width` digits, at most 16.
  @inline(__always)
  public mutating func appendHexadecimal(_ value: UInt64, width: Int) {
    let digits = min(16, max(width, 1, (67 &- value.leadingZeroBitCount) >> 2))
    appendHexadecimalDigits(value &<< UInt64(64 &- 4 &* digits), digits)
  }

  /// The first digits of a value that begins in its highest bits.
  @inline(__always)
  private mutating func appendHexadecimalDigits(_ value: UInt64, _ digits: Int) {
    reserve(digits)
    let high = Self.hexadecimal(UInt32(truncatingIfNeeded: value >> 32))
    let low = Self.hexadecimal(UInt32(truncatingIfNeeded: value))
    let end = unsafe UnsafeMutableRawPointer(storage + count)
    unsafe end.storeBytes(of: high.bigEndian, as: UInt64.self)
    unsafe end.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
    count &+= digits
  }

  /// The eight digits of a value, the first in the highest byte.
  @inline(__always)
  private static func hexadecimal(_ value: UInt32) -> UInt64 {
    var nibbles = UInt64(value)
    nibbles = (nibbles &<< 16 | nibbles) & 0x0000_ffff_0000_ffff
    nibbles = (nibbles &<< 8 | nibbles) & 0x00ff_00ff_00ff_00ff
    nibbles = (nibbles &<< 4 | nibbles) & 0x0f0f_0f0f_0f0f_0f0f
    // 1 in each byte whose nibble is above 9.
    let letters = (nibbles &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
    return nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
  }

  @inline(__always)
  public mutating func appendDecimal(_ value: UInt64) {
    if value < 10 {
      append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value))
    } else {
      appendLongDecimal(value)
    }
  }

  @inline(__always)
  public mutating func appendDecimal(_ value: Int64) {
    if value < 0 { append(UInt8(ascii: "-")) }
    appendDecimal(value.magnitude)
  }

  private mutating func appendLongDecimal(_ value: UInt64) {
    reserve(20)
    var digits = 0
    var rest = value
    while rest > 0 {
      rest /= 10
      digits &+= 1
    }
    var place = count &+ digits
    rest = value
    while rest > 0 {
      place &-= 1
      let quotient = rest / 10
      unsafe storage[place] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest &- quotient &* 10)
      rest = quotient
    }
    count &+= digits
  }

  /// Decimal, with `padding` before it up to `width` bytes.
  public mutating func appendDecimal(_ value: UInt64, width: Int, padding: UInt8) {
    let start = count
    appendDecimal(value)
    insert(repeating: padding, count: width - (count - start), at: start)
  }

  /// Octal, without leading zeros.
  mutating func appendOctal(_ value: UInt64) {
    var shift = 63
    while shift > 0, value >> UInt64(shift) & 7 == 0 { shift -= 3 }
    while shift >= 0 {
      append(UInt8(ascii: "0") &+ UInt8(value >> UInt64(shift) & 7))
      shift -= 3
    }
  }

  // MARK: Room

  @inline(__always)
  private mutating func reserve(_ length: Int) {
    if length &+ Self.slack > capacity &- count { grow(length) }
  }

  @inline(never)
  private mutating func grow(_ length: Int) {
    let newCapacity = max(2 * capacity, count + length + 2 * Self.slack)
    let newStorage = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
    unsafe newStorage.update(from: storage, count: count)
    unsafe storage.deallocate()
    unsafe storage = newStorage
    capacity = newCapacity
  }

  // MARK: Changes

  /// Makes the letters from this offset on upper-case.
  mutating func uppercase(from offset: Int) {
    for index in min(offset, count)..<count {
      let byte = unsafe storage[index]
      if byte.isLetter { unsafe storage[index] = byte & ~0x20 }
    }
  }

  /// Ends the text at the first NUL from this offset on, if there is one.
  mutating func truncateAtNUL(from offset: Int) {
    for index in min(offset, count)..<count where unsafe storage[index] == 0 {
      count = index
      return
    }
  }
}
