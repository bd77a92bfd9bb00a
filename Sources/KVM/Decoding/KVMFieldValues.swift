/// The fields of one event, from a record or from a line, in the order in which a `KVMTracepoint` names them.
struct KVMFieldValues {
  /// More than any tracepoint that is decoded has.
  static let capacity = 16

  private var values = InlineArray<16, UInt64>(repeating: 0)
  private var present: UInt16 = 0
  /// The field that is no integer: the bytes of an instruction or of a message.
  var bytes: [UInt8]?

  init() {}

  /// A field's integer, sign-extended if it is signed; nil if this event does not have the field.
  subscript(index: Int) -> UInt64? {
    get { present >> index & 1 == 1 ? values[index] : nil }
    set {
      guard let newValue else { return }
      values[index] = newValue
      present |= 1 << index
    }
  }

  func required(_ index: Int) throws(KVMDecodingError) -> UInt64 {
    guard let value = self[index] else { throw .missingField(index) }
    return value
  }

  func required<T: FixedWidthInteger>(_ index: Int, as type: T.Type) throws(KVMDecodingError) -> T {
    T(truncatingIfNeeded: try required(index))
  }

  func flag(_ index: Int) -> Bool { self[index].map { $0 != 0 } ?? false }

  func requiredFlag(_ index: Int) throws(KVMDecodingError) -> Bool { try required(index) != 0 }

  func integer(_ index: Int) -> Int? { self[index].map { Int(truncatingIfNeeded: $0) } }
}

/// Why an event cannot be decoded.
enum KVMDecodingError: Error, Hashable {
  /// The tracepoint's field of this number is in neither the record's format nor the text.
  case missingField(Int)
  /// What the text says of itself in two ways does not agree.
  case contradiction(String)
}
