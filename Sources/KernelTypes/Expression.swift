/// What a user writes for an argument: a path in C from a parameter, through pointers and members.
///
/// `addr`, `ctxt->eip`, `walker->fault.error_code`, `walker->ptes[2]`, `*exception`,
/// `((struct kvm_vcpu *)ctxt->vcpu)->arch.cr3`.
public indirect enum Expression: Hashable, Sendable {
  case parameter(String)
  case member(of: Expression, name: String, isThroughPointer: Bool)
  case element(of: Expression, index: Int)
  case dereference(Expression)
  case cast(Expression, to: NamedType, pointers: Int)

  /// A type as a cast names it.
  public struct NamedType: Hashable, Sendable {
    /// `struct`, `union`, or empty for a typedef.
    public var keyword: String
    public var name: String
  }

  /// The names on the way from the parameter.
  var path: [String] {
    switch self {
    case .parameter(let name): [name]
    case .member(let base, let name, _): base.path + [name]
    case .element(let base, let index): base.path + ["\(index)"]
    case .dereference(let base), .cast(let base, _, _): base.path
    }
  }

  /// The parameter at its root.
  public var parameter: String {
    switch self {
    case .parameter(let name): name
    case .member(let base, _, _), .element(let base, _), .dereference(let base), .cast(let base, _, _): base.parameter
    }
  }
}

/// Why an expression or a condition cannot be used, and where in its text.
public struct ExpressionError: Error, Hashable, Sendable, CustomStringConvertible {
  public var reason: String
  /// Of the first byte that is not understood; nil where the text is understood and means nothing here.
  public var offset: Int?

  public var description: String { offset.map { "\(reason) (at character \($0 + 1))" } ?? reason }
}

extension Expression: CustomStringConvertible {
  /// The expression as C has it.
  public var description: String {
    switch self {
    case .parameter(let name): name
    case .member(let base, let name, let isThroughPointer): "\(base.operand)\(isThroughPointer ? "->" : ".")\(name)"
    case .element(let base, let index): "\(base.operand)[\(index)]"
    case .dereference(let base): "*\(base.operand)"
    case .cast(let base, let type, let pointers):
      "(\(type.keyword.isEmpty ? "" : type.keyword + " ")\(type.name) \(String(repeating: "*", count: pointers)))"
        + base.operand
    }
  }

  private var operand: String {
    switch self {
    case .dereference, .cast: "(\(description))"
    default: description
    }
  }
}

extension Expression {
  /// Reads an expression, all of the text.
  public init(_ text: String) throws(ExpressionError) {
    var parser = ExpressionParser(text)
    self = try parser.expression()
    try parser.expectEnd()
  }
}

/// Reads expressions, and the conditions made of them.
struct ExpressionParser {
  private let text: [UInt8]
  private(set) var offset = 0
  /// How many brackets and stars enclose what is being read.
  private var depth = 0

  /// More than any sensible expression has.
  private static let deepest = 32

  init(_ text: String) { self.text = Array(text.utf8) }

  // MARK: Expressions

  mutating func expression() throws(ExpressionError) -> Expression {
    guard depth < Self.deepest else { throw error("nested too deeply") }
    depth += 1
    defer { depth -= 1 }
    if take("*") { return .dereference(try expression()) }
    if let cast = try castPrefix() { return .cast(try expression(), to: cast.type, pointers: cast.pointers) }
    return try suffixes(of: primary())
  }

  private mutating func primary() throws(ExpressionError) -> Expression {
    if take("(") {
      let inner = try expression()
      try expect(")")
      return inner
    }
    guard let name = identifier() else { throw error("a parameter's name is expected") }
    return .parameter(name)
  }

  private mutating func suffixes(of base: Expression) throws(ExpressionError) -> Expression {
    var result = base
    var count = 0
    while count < Self.deepest {
      count += 1
      if take("->") {
        result = .member(of: result, name: try memberName(), isThroughPointer: true)
      } else if take(".") {
        result = .member(of: result, name: try memberName(), isThroughPointer: false)
      } else if take("[") {
        guard let index = number(), index <= 1 << 20 else { throw error("an index is expected") }
        result = .element(of: result, index: Int(index))
        try expect("]")
      } else {
        return result
      }
    }
    throw error("too long a path")
  }

  private mutating func memberName() throws(ExpressionError) -> String {
    guard let name = identifier() else { throw error("a member's name is expected") }
    return name
  }

  /// `(struct NAME *)`; nil, with nothing taken, where there is none.
  private mutating func castPrefix() throws(ExpressionError) -> (type: Expression.NamedType, pointers: Int)? {
    let start = offset
    guard take("("), var name = identifier() else {
      offset = start
      return nil
    }
    var keyword = ""
    if name == "struct" || name == "union" {
      keyword = name
      guard let tag = identifier() else { throw error("a structure's name is expected") }
      name = tag
    }
    var pointers = 0
    while take("*") { pointers += 1 }
    guard pointers > 0, take(")") else {
      guard keyword.isEmpty else { throw error("a cast is to a pointer: (\(keyword) \(name) *)") }
      offset = start
      return nil
    }
    return (Expression.NamedType(keyword: keyword, name: name), pointers)
  }

  // MARK: Words

  mutating func take(_ word: String) -> Bool {
    skipBlanks()
    let bytes = Array(word.utf8)
    guard text[offset...].starts(with: bytes) else { return false }
    offset += bytes.count
    return true
  }

  mutating func expect(_ word: String) throws(ExpressionError) {
    guard take(word) else { throw error("'\(word)' is expected") }
  }

  mutating func expectEnd() throws(ExpressionError) {
    skipBlanks()
    guard offset == text.count else { throw error("nothing more is expected") }
  }

  /// A number, decimal or hexadecimal, negative ones as two's complement.
  mutating func number() -> UInt64? {
    let start = offset
    let isNegative = take("-")
    let isHexadecimal = take("0x") || take("0X")
    let digits = word { isHexadecimal ? $0.isHexadecimalDigit : $0.isDigit }
    guard let value = UInt64(digits, radix: isHexadecimal ? 16 : 10) else {
      offset = start
      return nil
    }
    return isNegative ? 0 &- value : value
  }

  mutating func identifier() -> String? {
    skipBlanks()
    guard offset < text.count, !text[offset].isDigit else { return nil }
    let name = word { $0.isDigit || $0.isLetter }
    return name.isEmpty ? nil : name
  }

  private mutating func word(_ belongs: (UInt8) -> Bool) -> String {
    let start = offset
    while offset < text.count, belongs(text[offset]) { offset += 1 }
    return String(decoding: text[start..<offset], as: UTF8.self)
  }

  private mutating func skipBlanks() {
    while offset < text.count, text[offset] == 0x20 || text[offset] == 0x09 { offset += 1 }
  }

  /// Goes back to a place where the parser was.
  mutating func rewind(to place: Int) { offset = place }

  func error(_ reason: String) -> ExpressionError { ExpressionError(reason: reason, offset: offset) }
}

extension UInt8 {
  fileprivate var isDigit: Bool { (0x30...0x39).contains(self) }
  fileprivate var isLetter: Bool { (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self) || self == 0x5F }
  fileprivate var isHexadecimalDigit: Bool {
    isDigit || (0x41...0x46).contains(self) || (0x61...0x66).contains(self)
  }
}
