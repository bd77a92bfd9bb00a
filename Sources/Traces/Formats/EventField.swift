public import Files

/// One field of a tracepoint's record, as its `format` text declares it.
public struct EventField: Hashable, Sendable {
  /// What lies at the field's offset.
  public enum Kind: Hashable, Sendable {
    /// One integer or pointer.
    case scalar
    /// `TYPE name[COUNT]`; the elements follow one another.
    case array(elementSize: Int, count: Int)
    /// `__data_loc TYPE[]`: a 32-bit word whose low half is the offset of the data from the start of the record and
    /// whose high half is their length in bytes (include/trace/stages/stage4_event_fields.h, Linux 6.1).
    case dataLocation(elementSize: Int)
    /// `__rel_loc TYPE[]`: as `dataLocation`, but the offset counts from the end of the 32-bit word.
    case relativeLocation(elementSize: Int)
    /// `TYPE name[]` of size 0: the elements go on to the end of the record, as in ftrace's own events.
    case trailing(elementSize: Int)
  }

  public let name: String
  /// The words of the C type, without the field's name: `unsigned int`, `gpa_t`, `__data_loc char[]`, `u8[15]`.
  public let type: String
  public let kind: Kind
  /// The place in the record that holds the field itself (the location word of located data).
  public let location: FieldLocation

  public init(name: String, type: String, kind: Kind, location: FieldLocation) {
    self.name = name
    self.type = type
    self.kind = kind
    self.location = location
  }

  public var offset: Int { location.offset }
  /// In bytes.
  public var size: Int { location.size }
  public var isSigned: Bool { location.isSigned }

  /// The field's integer, extended to 64 bits by its signedness; nil for other kinds and when the record ends before
  /// it.
  @inlinable public func integer(in payload: RawSpan) -> UInt64? { location.integer(in: payload) }

  /// The bytes that the field stands for: its own, or those its location word points to. Nil if any of them lies
  /// outside the record.
  @_lifetime(copy payload)
  public func bytes(in payload: RawSpan) -> RawSpan? {
    switch kind {
    case .scalar, .array:
      return payload.slice(offset: offset, count: size)
    case .dataLocation:
      guard let word = location.integer(in: payload) else { return nil }
      return payload.slice(offset: Int(word & 0xffff), count: Int(word >> 16 & 0xffff))
    case .relativeLocation:
      guard let word = location.integer(in: payload) else { return nil }
      return payload.slice(offset: offset + size + Int(word & 0xffff), count: Int(word >> 16 & 0xffff))
    case .trailing:
      return payload.slice(offset: offset, count: payload.byteCount - offset)
    }
  }

  /// The text of a `char` array, up to its first NUL; nil if it lies outside the record.
  public func string(in payload: RawSpan) -> String? {
    guard let bytes = bytes(in: payload) else { return nil }
    var copy: [UInt8] = []
    copy.reserveCapacity(bytes.byteCount)
    for index in bytes.byteOffsets {
      let byte = bytes.byte(at: index)
      if byte == 0 { break }
      copy.append(byte)
    }
    return String(decoding: copy, as: UTF8.self)
  }

  /// The size of one element in bytes: that of the whole field for a scalar.
  public var elementSize: Int {
    switch kind {
    case .scalar: size
    case .array(let elementSize, _), .dataLocation(let elementSize), .relativeLocation(let elementSize),
      .trailing(let elementSize):
      elementSize
    }
  }
}

/// Where an integer lies in a record: all that is needed to read it, so that readers of many records can look a field
/// up by name once and keep this.
@frozen
public struct FieldLocation: Hashable, Sendable {
  /// Bytes from the start of the record.
  public let offset: Int
  /// In bytes. An integer can be read if it is 1, 2, 4 or 8.
  public let size: Int
  public let isSigned: Bool
  public let byteOrder: ByteOrder

  @inlinable public init(offset: Int, size: Int, isSigned: Bool, byteOrder: ByteOrder) {
    self.offset = offset
    self.size = size
    self.isSigned = isSigned
    self.byteOrder = byteOrder
  }

  /// The integer, extended to 64 bits by its signedness; nil when the record ends before it or the size is none of an
  /// integer.
  @inlinable public func integer(in payload: RawSpan) -> UInt64? {
    guard offset >= 0, size <= payload.byteCount, offset <= payload.byteCount &- size else { return nil }
    switch size {
    case 1:
      let value = payload.load(UInt8.self, at: offset)
      return isSigned ? UInt64(bitPattern: Int64(Int8(bitPattern: value))) : UInt64(value)
    case 2:
      let value = payload.load(UInt16.self, at: offset, byteOrder)
      return isSigned ? UInt64(bitPattern: Int64(Int16(bitPattern: value))) : UInt64(value)
    case 4:
      let value = payload.load(UInt32.self, at: offset, byteOrder)
      return isSigned ? UInt64(bitPattern: Int64(Int32(bitPattern: value))) : UInt64(value)
    case 8:
      return payload.load(UInt64.self, at: offset, byteOrder)
    default:
      return nil
    }
  }
}
