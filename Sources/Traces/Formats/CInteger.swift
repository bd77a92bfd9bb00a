/// An integer type of C, as far as print formats use them.
struct CInteger: Hashable, Sendable {
  /// In bytes: 1, 2, 4 or 8.
  var size: Int
  var isSigned: Bool

  static let int = CInteger(size: 4, isSigned: true)
  static let unsignedInt = CInteger(size: 4, isSigned: false)

  /// The type after integer promotion (C11, 6.3.1.1).
  var promoted: CInteger { size < 4 ? .int : self }

  /// The type of an operation on both (C11, 6.3.1.8): types of the same size are taken as of the same rank.
  static func common(_ a: CInteger, _ b: CInteger) -> CInteger {
    let a = a.promoted
    let b = b.promoted
    if a.size == b.size { return CInteger(size: a.size, isSigned: a.isSigned && b.isSigned) }
    return a.size > b.size ? a : b
  }

  /// The value that the type's bits have, extended to 64 bits by the type's signedness. All values in programs and
  /// constants are kept like this.
  @inline(__always)
  func value(of bits: UInt64) -> UInt64 {
    switch (size, isSigned) {
    case (1, true): UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: bits)))
    case (1, false): bits & 0xff
    case (2, true): UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: bits)))
    case (2, false): bits & 0xffff
    case (4, true): UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: bits)))
    case (4, false): bits & 0xffff_ffff
    default: bits
    }
  }

  /// The type that a declaration's words name; nil if this does not know it.
  ///
  /// - Parameter words: such as `unsigned`, `long`; qualifiers and stars are not among them.
  static func named(_ words: [String], longSize: Int) -> CInteger? {
    if let only = words.first, words.count == 1, let type = typedefs[only] { return type }
    if words.count == 1 {
      switch words[0] {
      case "size_t", "uintptr_t", "pgoff_t", "kernel_ulong_t": return CInteger(size: longSize, isSigned: false)
      case "ssize_t", "intptr_t", "ptrdiff_t": return CInteger(size: longSize, isSigned: true)
      default: break
      }
    }
    if words.count == 2, words[0] == "enum" { return .unsignedInt }
    var size = 4
    var isSigned = true
    var longs = 0
    for word in words {
      switch word {
      case "unsigned": isSigned = false
      case "signed", "int": break
      case "char": size = 1
      case "short": size = 2
      case "long": longs += 1
      default: return nil
      }
    }
    if longs == 1 { size = longSize }
    if longs == 2 { size = 8 }
    return words.isEmpty ? nil : CInteger(size: size, isSigned: isSigned)
  }

  /// Types of the kernel that are of one size on all machines (include/linux/types.h and others, Linux 6.19).
  private static let typedefs: [String: CInteger] = {
    var types: [String: CInteger] = [:]
    for (bits, size) in [("8", 1), ("16", 2), ("32", 4), ("64", 8)] {
      for name in ["u\(bits)", "__u\(bits)", "uint\(bits)_t", "u_int\(bits)_t", "__le\(bits)", "__be\(bits)"] {
        types[name] = CInteger(size: size, isSigned: false)
      }
      for name in ["s\(bits)", "__s\(bits)", "int\(bits)_t"] { types[name] = CInteger(size: size, isSigned: true) }
    }
    for name in ["bool", "_Bool"] { types[name] = CInteger(size: 1, isSigned: false) }
    for name in ["gpa_t", "gfn_t", "hpa_t", "hfn_t", "kvm_pfn_t", "dma_addr_t", "phys_addr_t", "sector_t", "loff_t"] {
      types[name] = CInteger(size: 8, isSigned: name == "loff_t")
    }
    types["gva_t"] = CInteger(size: 8, isSigned: false)
    for name in ["dev_t", "gfp_t", "uid_t", "gid_t", "umode_t", "qid_t", "projid_t"] {
      types[name] = CInteger(size: name == "umode_t" ? 2 : 4, isSigned: false)
    }
    types["uint"] = .unsignedInt
    types["ushort"] = CInteger(size: 2, isSigned: false)
    for name in ["pid_t", "key_serial_t"] { types[name] = .int }
    types["ktime_t"] = CInteger(size: 8, isSigned: true)
    return types
  }()
}

/// The operators of C that print formats use.
enum COperator: UInt8, Sendable {
  case multiply, divide, remainder, add, subtract, shiftLeft, shiftRight
  case less, lessOrEqual, greater, greaterOrEqual, equal, notEqual
  case and, exclusiveOr, or, logicalAnd, logicalOr

  /// The operator's spelling; longer ones come before those they begin with.
  static let spellings: [(String, COperator)] = [
    ("<<", .shiftLeft), (">>", .shiftRight), ("<=", .lessOrEqual), (">=", .greaterOrEqual), ("==", .equal),
    ("!=", .notEqual), ("&&", .logicalAnd), ("||", .logicalOr), ("*", .multiply), ("/", .divide), ("%", .remainder),
    ("+", .add), ("-", .subtract), ("<", .less), (">", .greater), ("&", .and), ("^", .exclusiveOr), ("|", .or),
  ]

  /// How tightly it binds (C11, 6.5.5 to 6.5.14): more is tighter.
  var precedence: Int {
    switch self {
    case .multiply, .divide, .remainder: 10
    case .add, .subtract: 9
    case .shiftLeft, .shiftRight: 8
    case .less, .lessOrEqual, .greater, .greaterOrEqual: 7
    case .equal, .notEqual: 6
    case .and: 5
    case .exclusiveOr: 4
    case .or: 3
    case .logicalAnd: 2
    case .logicalOr: 1
    }
  }

  /// The types of both operands and of the result.
  func types(_ left: CInteger, _ right: CInteger) -> (operands: CInteger, result: CInteger) {
    switch self {
    case .multiply, .divide, .remainder, .add, .subtract, .and, .exclusiveOr, .or:
      let common = CInteger.common(left, right)
      return (common, common)
    case .shiftLeft, .shiftRight:
      return (left.promoted, left.promoted)
    case .less, .lessOrEqual, .greater, .greaterOrEqual, .equal, .notEqual:
      return (CInteger.common(left, right), .int)
    case .logicalAnd, .logicalOr:
      return (.int, .int)
    }
  }

  /// The result for operands of this type, which for shifts is the left one's. Division by zero, which C leaves
  /// undefined, gives 0.
  @inline(__always)
  func apply(_ left: UInt64, _ right: UInt64, _ type: CInteger) -> UInt64 {
    let signedLeft = Int64(bitPattern: left)
    let signedRight = Int64(bitPattern: right)
    switch self {
    case .multiply: return type.value(of: left &* right)
    case .divide:
      guard right != 0 else { return 0 }
      if !type.isSigned { return left / right }
      return type.value(of: UInt64(bitPattern: signedLeft.dividedReportingOverflow(by: signedRight).partialValue))
    case .remainder:
      guard right != 0 else { return 0 }
      if !type.isSigned { return left % right }
      return UInt64(bitPattern: signedLeft.remainderReportingOverflow(dividingBy: signedRight).partialValue)
    case .add: return type.value(of: left &+ right)
    case .subtract: return type.value(of: left &- right)
    case .shiftLeft: return type.value(of: left &<< (right & UInt64(8 &* type.size &- 1)))
    case .shiftRight:
      let count = right & UInt64(8 &* type.size &- 1)
      return type.isSigned ? UInt64(bitPattern: signedLeft &>> Int64(bitPattern: count)) : left &>> count
    case .less: return (type.isSigned ? signedLeft < signedRight : left < right) ? 1 : 0
    case .lessOrEqual: return (type.isSigned ? signedLeft <= signedRight : left <= right) ? 1 : 0
    case .greater: return (type.isSigned ? signedLeft > signedRight : left > right) ? 1 : 0
    case .greaterOrEqual: return (type.isSigned ? signedLeft >= signedRight : left >= right) ? 1 : 0
    case .equal: return left == right ? 1 : 0
    case .notEqual: return left != right ? 1 : 0
    case .and: return left & right
    case .exclusiveOr: return left ^ right
    case .or: return left | right
    case .logicalAnd: return left != 0 && right != 0 ? 1 : 0
    case .logicalOr: return left != 0 || right != 0 ? 1 : 0
    }
  }
}
