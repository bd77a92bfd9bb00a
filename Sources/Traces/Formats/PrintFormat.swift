import Files

/// What addresses in records stand for, as far as a recording tells.
public struct PrintSymbols: Sendable {
  /// The function or object that holds an address, and how far into it the address lies.
  public var symbol: @Sendable (UInt64) -> (name: String, offset: UInt64)?
  /// The text that a pointer points to.
  public var text: @Sendable (UInt64) -> String?

  public init(
    symbol: @escaping @Sendable (UInt64) -> (name: String, offset: UInt64)?,
    text: @escaping @Sendable (UInt64) -> String? = { _ in nil }
  ) {
    self.symbol = symbol
    self.text = text
  }

  public static let none = PrintSymbols(symbol: { _ in nil })
}

/// Prints the records of one event as its own kernel does: the event's print format, compiled once.
///
/// Where a recording does not hold what the kernel knew, the number is printed: names that only the kernel's headers
/// define, addresses without a symbol, and pointers, which the kernel hashes (`%p` prints `0x…`, as trace-cmd and perf
/// do).
public final class PrintFormat: Sendable {
  let steps: FrozenArray<PrintStep>
  /// The bytes of all literals and names.
  let pool: FrozenArray<UInt8>
  let tables: FrozenArray<PrintNameTable>
  let slots: FrozenArray<Int32>
  let entries: FrozenArray<PrintNameEntry>
  let conversions: [PrintConversion]
  let byteOrder: ByteOrder
  let longSize: Int
  let symbols: PrintSymbols
  private let minimumRecordSize: Int

  /// - Parameters:
  ///   - format: the event.
  ///   - symbols: asked for `%pS` and its relatives, and for texts outside the record.
  public init(_ format: EventFormat, symbols: PrintSymbols = .none) throws(PrintFormatError) {
    let program = try PrintFormatCompiler.compile(format)
    steps = FrozenArray(program.steps)
    // Short pieces are copied 16 bytes at a time.
    pool = FrozenArray(program.pool + [UInt8](repeating: 0, count: 16))
    tables = FrozenArray(program.tables)
    slots = FrozenArray(program.slots)
    entries = FrozenArray(program.entries)
    conversions = program.conversions
    byteOrder = program.byteOrder
    longSize = program.longSize
    minimumRecordSize = program.minimumRecordSize
    self.symbols = symbols
  }

  deinit {
    steps.deallocate()
    pool.deallocate()
    tables.deallocate()
    slots.deallocate()
    entries.deallocate()
  }

  /// Appends the record's text to a buffer.
  ///
  /// - Parameter record: from its first common field on.
  /// - Returns: false if the record is too short for what the format prints; the text then ends where data is missing.
  @discardableResult
  public func render(_ record: RawSpan, into buffer: inout TextBuffer) -> Bool {
    guard record.byteCount >= minimumRecordSize else { return false }
    return run(record, &buffer)
  }
}

extension EventFormat {
  /// Appends the fields with their values, for an event whose print format cannot be evaluated: `vector=48 name=timer`.
  public func printFields(of record: RawSpan, into buffer: inout TextBuffer) {
    for (index, field) in fields.enumerated() {
      if index > 0 { buffer.append(UInt8(ascii: " ")) }
      buffer.append(field.name)
      buffer.append(UInt8(ascii: "="))
      if field.kind == .scalar, let value = field.integer(in: record) {
        if field.isSigned { buffer.appendDecimal(Int64(bitPattern: value)) } else { buffer.appendDecimal(value) }
      } else if field.elementSize == 1, field.type.contains("char"), let text = field.string(in: record) {
        buffer.append(text)
      } else if let bytes = field.bytes(in: record) {
        buffer.append("[")
        for offset in bytes.byteOffsets {
          if offset > 0 { buffer.append(UInt8(ascii: " ")) }
          buffer.appendHexadecimal(UInt64(bytes.byte(at: offset)), width: 2)
        }
        buffer.append("]")
      } else {
        buffer.append("?")
      }
    }
  }
}
