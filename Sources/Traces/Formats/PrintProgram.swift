import Files

/// One step of a print program. Steps that print first print the bytes of the pool that they name.
struct PrintStep: BitwiseCopyable, Sendable {
  enum Code: UInt8, Sendable {
    // Steps on the stack of values.
    /// Pushes `operand`.
    case constant
    /// Pushes the integer at `place`, of the type `type`.
    case load
    /// Replaces an index by the element of the data.
    case element
    /// Pushes the size of the data in bytes.
    case dataSize
    case negate
    case complement
    case not
    /// Makes the value one of the type.
    case convert
    /// Replaces two values by the result of the operator `index`.
    case operation
    case jump
    /// Takes a value and goes to the step `index` if it is 0.
    case jumpIfZero
    /// Pushes where the text stands.
    case mark

    // Steps that print.
    case literal
    case fieldDecimal
    case fieldSignedDecimal
    case fieldHexadecimal
    case fieldZeroPaddedHexadecimal
    case decimal
    case signedDecimal
    case hexadecimal
    case zeroPaddedHexadecimal
    case number
    case character
    case symbolic
    case flags
    case choice
    case text
    case hexadecimalBytes
    case array
    case bitmask
    case bitmaskList
    case pointer
    case pointedText
    case symbol
    case internet4
    case internet6
    case hardwareAddress
    case uuid
    /// Takes a mark, and cuts and aligns the text since then by the conversion `index`.
    case finish
    /// Takes a mark, and ends the text since then at its first NUL.
    case finishStatement
  }

  var code: Code
  var type: PrintType = PrintType(.unsignedInt, .littleEndian)
  var data: PrintData = PrintData(kind: .fixed, offset: 0, size: 0)
  /// Of a table, a conversion or a step; a width.
  var index: Int32 = 0
  var literalOffset: UInt32 = 0
  var literalCount: UInt32 = 0
  var operand: UInt64 = 0

  init(_ code: Code) { self.code = code }
}

/// An integer type and a byte order, in one byte.
struct PrintType: Hashable, Sendable {
  private let bits: UInt8

  init(_ integer: CInteger, _ byteOrder: ByteOrder) {
    bits =
      UInt8(integer.size.trailingZeroBitCount & 3) | (integer.isSigned ? 4 : 0) | (byteOrder == .bigEndian ? 8 : 0)
  }

  @inline(__always) var integer: CInteger { CInteger(size: 1 &<< Int(bits & 3), isSigned: bits & 4 != 0) }
  @inline(__always) var size: Int { 1 &<< Int(bits & 3) }

  /// The integer at this offset, all of which must lie in the record.
  @inline(__always)
  func load(_ record: RawSpan, at offset: Int) -> UInt64 {
    switch bits {
    case 0, 8: UInt64(record.load(UInt8.self, at: offset))
    case 1: UInt64(record.load(UInt16.self, at: offset))
    case 2: UInt64(record.load(UInt32.self, at: offset))
    case 3, 7: record.load(UInt64.self, at: offset)
    case 6: UInt64(bitPattern: Int64(Int32(bitPattern: record.load(UInt32.self, at: offset))))
    default: loadRare(record, at: offset)
    }
  }

  private func loadRare(_ record: RawSpan, at offset: Int) -> UInt64 {
    let byteOrder: ByteOrder = bits & 8 != 0 ? .bigEndian : .littleEndian
    let value: UInt64 =
      switch size {
      case 1: UInt64(record.load(UInt8.self, at: offset))
      case 2: UInt64(record.load(UInt16.self, at: offset, byteOrder))
      case 4: UInt64(record.load(UInt32.self, at: offset, byteOrder))
      default: record.load(UInt64.self, at: offset, byteOrder)
      }
    return integer.value(of: value)
  }
}

/// Where a field's bytes are.
struct PrintData: Hashable, Sendable {
  enum Kind: UInt8, Sendable {
    case fixed
    case dataLocation
    case relativeLocation
    case trailing
  }

  var kind: Kind
  /// Of the field, or of its location word.
  var offset: UInt16
  var size: UInt16

  init(kind: Kind, offset: UInt16, size: UInt16) {
    self.kind = kind
    self.offset = offset
    self.size = size
  }

  init(_ field: EventField) {
    kind =
      switch field.kind {
      case .scalar, .array: .fixed
      case .dataLocation: .dataLocation
      case .relativeLocation: .relativeLocation
      case .trailing: .trailing
      }
    offset = UInt16(truncatingIfNeeded: field.offset)
    size = UInt16(truncatingIfNeeded: field.size)
  }

  /// The bytes in a record; nil if some lie outside it.
  @inline(__always)
  func range(in record: RawSpan, _ byteOrder: ByteOrder) -> Range<Int>? {
    var start = Int(offset)
    var count = Int(size)
    switch kind {
    case .fixed: break
    case .trailing: count = max(0, record.byteCount &- start)
    case .dataLocation, .relativeLocation:
      guard start &+ 4 <= record.byteCount else { return nil }
      let word = record.load(UInt32.self, at: start, byteOrder)
      count = Int(word >> 16)
      start = kind == .dataLocation ? Int(word & 0xffff) : start &+ 4 &+ Int(word & 0xffff)
    }
    guard start &+ count <= record.byteCount else { return nil }
    return start..<(start &+ count)
  }
}

/// The names of numbers, for a direct look-up.
struct PrintNameTable: BitwiseCopyable, Sendable {
  /// Numbers from `first` on have a slot; others are searched for.
  var first: UInt64 = 0
  var slots = PrintSlice(0..<0)
  /// The entries that have no slot, by value; for flags all entries in their own order.
  var entries = PrintSlice(0..<0)
  var delimiter = PrintSlice(0..<0)
}

/// A part of an array of the program.
struct PrintSlice: BitwiseCopyable, Sendable {
  let lowerBound: Int
  let upperBound: Int

  init(_ range: Range<Int>) {
    lowerBound = range.lowerBound
    upperBound = range.upperBound
  }

  @inline(__always) var count: Int { upperBound &- lowerBound }
}

struct PrintNameEntry: BitwiseCopyable, Sendable {
  var value: UInt64
  /// In the pool of bytes.
  var offset: Int
  var count: Int
}

/// A print format as a sequence of steps with all it needs.
struct PrintProgram: Sendable {
  var steps: [PrintStep] = []
  /// The bytes of all literals and names.
  var pool: [UInt8] = []
  var tables: [PrintNameTable] = []
  /// Indices of entries, or -1.
  var slots: [Int32] = []
  var entries: [PrintNameEntry] = []
  var conversions: [PrintConversion] = []
  var byteOrder = ByteOrder.littleEndian
  var longSize = 8
  /// The length a record must have for all fixed fields that are printed.
  var minimumRecordSize = 0

  /// The most values that a program may have on its stack.
  static let stackSize = 16
  /// The widest range of numbers that a table has slots for: AMD's exit codes go up to 0x403.
  private static let largestSlotRange: UInt64 = 2048

  mutating func intern(_ bytes: [UInt8]) -> Range<Int> {
    let start = pool.count
    pool += bytes
    return start..<pool.count
  }

  /// Adds a table of names, of which one is looked up by its number: of several entries for a number the first counts.
  mutating func addTable(symbolic names: [PrintName]) -> Int {
    var seen: Set<UInt64> = []
    let unique = names.filter { seen.insert($0.value).inserted }.sorted { $0.value < $1.value }
    var table = PrintNameTable()
    table.first = unique.first?.value ?? 0
    let direct = unique.prefix { $0.value - table.first < Self.largestSlotRange }
    let slotsStart = slots.count
    if let last = direct.last { slots += Array(repeating: -1, count: Int(last.value - table.first) + 1) }
    for name in direct {
      slots[slotsStart + Int(name.value - table.first)] = Int32(entries.count)
      add(name)
    }
    table.slots = PrintSlice(slotsStart..<slots.count)
    let entriesStart = entries.count
    for name in unique.dropFirst(direct.count) { add(name) }
    table.entries = PrintSlice(entriesStart..<entries.count)
    tables.append(table)
    return tables.count - 1
  }

  /// Adds the table of __print_flags.
  mutating func addTable(flags names: [PrintName], delimiter: [UInt8]) -> Int {
    var table = PrintNameTable()
    let start = entries.count
    for name in names { add(name) }
    table.entries = PrintSlice(start..<entries.count)
    table.delimiter = PrintSlice(intern(delimiter))
    tables.append(table)
    return tables.count - 1
  }

  private mutating func add(_ name: PrintName) {
    let range = intern(name.name)
    entries.append(PrintNameEntry(value: name.value, offset: range.lowerBound, count: range.count))
  }
}
