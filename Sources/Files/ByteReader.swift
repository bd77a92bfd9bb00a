/// Reads a sequence of integers, strings and blocks from bytes that nobody vouches for.
///
/// Each step either gives what it was asked for or throws an error that says what was missing, and where.
public struct ByteReader: ~Escapable {
  public let bytes: RawSpan
  public let byteOrder: ByteOrder
  /// Where the next step reads, from the start of `bytes`.
  public private(set) var offset: Int
  /// Where `bytes` lies in the file: added to the offsets that errors give.
  public let base: Int

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, byteOrder: ByteOrder = .littleEndian, at offset: Int = 0, base: Int = 0) {
    self.bytes = bytes
    self.byteOrder = byteOrder
    self.offset = min(max(offset, 0), bytes.byteCount)
    self.base = base
  }

  /// The number of bytes not read yet.
  public var remaining: Int { bytes.byteCount - offset }

  /// Where the next step reads, in the file.
  public var fileOffset: Int { base &+ offset }

  /// An error about the place at which the next step reads.
  public func error(_ what: String) -> FileError { FileError(what, at: fileOffset) }

  /// The next bytes. `what` names them in the error.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func block(_ count: some BinaryInteger, _ what: String) throws(FileError) -> RawSpan {
    guard let count = Int(exactly: count), count >= 0 else { throw error("the size of \(what) is impossible") }
    guard count <= remaining else {
      throw error("\(what) should take \(count) bytes but the data ends after \(remaining)")
    }
    let start = offset
    offset = start + count
    return bytes.extracting(start..<(start + count))
  }

  @_lifetime(self: copy self)
  public mutating func skip(_ count: some BinaryInteger, _ what: String) throws(FileError) {
    _ = try block(count, what)
  }

  @_lifetime(self: copy self)
  public mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, _ what: String
  ) throws(FileError) -> T {
    let size = MemoryLayout<T>.size
    guard size <= remaining else { throw error("the data ends where \(what) should be") }
    let value = bytes.load(type, at: offset, byteOrder)
    offset += size
    return value
  }

  @_lifetime(self: copy self)
  package mutating func words(_ count: some BinaryInteger, _ what: String) throws(FileError) -> [UInt64] {
    guard let count = Int(exactly: count), count >= 0, count <= remaining / 8 else {
      throw error("the data ends inside \(what)")
    }
    var words: [UInt64] = []
    words.reserveCapacity(count)
    for _ in 0..<count { words.append(try integer(UInt64.self, what)) }
    return words
  }

  /// A string that ends with a NUL, which is read over.
  @_lifetime(self: copy self)
  public mutating func cString(_ what: String) throws(FileError) -> String {
    var end = offset
    while end < bytes.byteCount, bytes.byte(at: end) != 0 { end += 1 }
    guard end < bytes.byteCount else { throw error("\(what) has no end") }
    let string = bytes.extracting(offset..<end).string
    offset = end + 1
    return string
  }
}

extension RawSpan {
  /// The bytes as text; what is no UTF-8 becomes U+FFFD.
  package var string: String { String(decoding: copied, as: UTF8.self) }

  /// The bytes up to the first NUL as text.
  package var cString: String {
    var end = 0
    while end < byteCount, byte(at: end) != 0 { end += 1 }
    return extracting(0..<end).string
  }

  /// A copy of the bytes, made at once rather than one by one.
  package var copied: [UInt8] { unsafe withUnsafeBytes { bytes in unsafe [UInt8](bytes) } }

  package func hasPrefix(_ prefix: [UInt8]) -> Bool {
    guard byteCount >= prefix.count else { return false }
    for index in prefix.indices where byte(at: index) != prefix[index] { return false }
    return true
  }
}
