public import Files

/// Bytes in the making, for files that no tool makes.
public struct ByteBuilder {
  public var bytes: [UInt8] = []
  public var byteOrder: ByteOrder

  public init(_ byteOrder: ByteOrder = .littleEndian) { self.byteOrder = byteOrder }

  public mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
    let size = T.bitWidth / 8
    for index in 0..<size {
      bytes.append(
        UInt8(truncatingIfNeeded: value >> T(8 * (byteOrder == .littleEndian ? index : size - 1 - index))))
    }
  }

  public mutating func string(_ text: String) { bytes += Array(text.utf8) + [0] }

  public mutating func text(_ text: String) { bytes += Array(text.utf8) }

  public mutating func pad(to multiple: Int) {
    while bytes.count % multiple != 0 { bytes.append(0) }
  }
}

extension MappedMemory {
  /// Memory that holds these bytes, as if it were a file's.
  public static func holding(_ bytes: [UInt8]) throws -> MappedMemory {
    let memory = try MappedMemory.buffer(byteCount: bytes.count)
    unsafe memory.withUnsafeMutableBytes { unsafe $0.copyBytes(from: bytes) }
    return memory
  }
}
