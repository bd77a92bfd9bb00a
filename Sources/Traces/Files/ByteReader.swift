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
  public func error(_ what: String) -> TraceFileError { TraceFileError(what, at: fileOffset) }

  /// The next bytes. `what` names them in the error.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func block(_ count: some BinaryInteger, _ what: String) throws(TraceFileError) -> RawSpan {
    guard let count = Int(exactly: count), count >= 0 else { throw error("the size of \(what) is impossible") }
    guard count <= remaining else {
      throw error("\(what) should take \(count) bytes but the data ends after \(remaining)")
    }
    let start = offset
    offset = start + count
    return bytes.extracting(start..<(start + count))
  }

  @_lifetime(self: copy self)
  public mutating func skip(_ count: some BinaryInteger, _ what: String) throws(TraceFileError) {
    _ = try block(count, what)
  }

  @_lifetime(self: copy self)
  public mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, _ what: String
  ) throws(TraceFileError) -> T {
    let size = MemoryLayout<T>.size
    guard size <= remaining else { throw error("the data ends where \(what) should be") }
    let value = bytes.load(type, at: offset, byteOrder)
    offset += size
    return value
  }

  /// A string that ends with a NUL, which is read over.
  @_lifetime(self: copy self)
  public mutating func cString(_ what: String) throws(TraceFileError) -> String {
    var end = offset
    while end < bytes.byteCount, bytes.byte(at: end) != 0 { end += 1 }
    guard end < bytes.byteCount else { throw error("\(what) has no end") }
    let text = bytes.extracting(offset..<end).text
    offset = end + 1
    return text
  }
}

extension RawSpan {
  /// The bytes as text up to the first NUL; what is no UTF-8 becomes U+FFFD.
  var text: String {
    var end = 0
    while end < byteCount, byte(at: end) != 0 { end += 1 }
    return extracting(0..<end).wholeText
  }

  /// All the bytes as text.
  var wholeText: String {
    String(decoding: copied, as: UTF8.self)
  }

  var copied: [UInt8] {
    [UInt8](capacity: byteCount) { output in
      for index in 0..<byteCount { output.append(byte(at: index)) }
    }
  }

  func hasPrefix(_ prefix: [UInt8]) -> Bool {
    guard byteCount >= prefix.count else { return false }
    for index in prefix.indices where byte(at: index) != prefix[index] { return false }
    return true
  }
}
