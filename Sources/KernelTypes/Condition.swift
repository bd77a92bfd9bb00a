/// When a probe counts: `addr == 0x133025`, `addr >= 0x100000 && walker->level == 3`, `mode == X86EMUL_MODE_PROT64`.
public indirect enum Condition: Hashable, Sendable {
  case comparison(Expression, Comparison, Operand)
  case both(Condition, Condition)
  case either(Condition, Condition)
  case not(Condition)

  /// What a value is compared with.
  public enum Operand: Hashable, Sendable {
    case number(UInt64)
    /// An enumerator, `true` or `false`, whose number the expression's type tells: ``BTF/probe(_:_:when:wantsReturn:wantsStack:)``.
    case name(String)
  }

  public enum Comparison: String, Hashable, Sendable {
    case equal = "=="
    case unequal = "!="
    case lessOrEqual = "<="
    case greaterOrEqual = ">="
    case less = "<"
    case greater = ">"
    /// Whether any of these bits is set.
    case anyBit = "&"

    // Longer words first: each begins with a shorter one.
    fileprivate static let inOrder: [Comparison] = [
      .equal, .unequal, .lessOrEqual, .greaterOrEqual, .less, .greater, .anyBit,
    ]
  }

  /// Reads a condition, all of the text.
  public init(_ text: String) throws(ExpressionError) {
    var parser = ExpressionParser(text)
    self = try Self.either(&parser, depth: 0)
    try parser.expectEnd()
  }

  /// The expressions that it compares, in order.
  public var expressions: [Expression] {
    switch self {
    case .comparison(let expression, _, _): [expression]
    case .both(let first, let second), .either(let first, let second): first.expressions + second.expressions
    case .not(let inner): inner.expressions
    }
  }

  /// Whether it holds, where `value` gives the value of each expression; a value that is not known meets no comparison.
  public func holds(_ value: (Expression) -> ArgumentValue?) -> Bool {
    switch self {
    case .comparison(let expression, let comparison, let operand):
      guard let value = value(expression), case .number(let number) = operand else { return false }
      return value.meets(comparison, number)
    case .both(let first, let second): return first.holds(value) && second.holds(value)
    case .either(let first, let second): return first.holds(value) || second.holds(value)
    case .not(let inner): return !inner.holds(value)
    }
  }

  /// The same condition with the number of each name.
  func replacingNames<Failure: Error>(
    _ number: (Expression, String) throws(Failure) -> UInt64
  ) throws(Failure) -> Condition {
    switch self {
    case .comparison(let expression, let comparison, .name(let name)):
      .comparison(expression, comparison, .number(try number(expression, name)))
    case .comparison: self
    case .both(let first, let second): .both(try first.replacingNames(number), try second.replacingNames(number))
    case .either(let first, let second): .either(try first.replacingNames(number), try second.replacingNames(number))
    case .not(let inner): .not(try inner.replacingNames(number))
    }
  }

  // MARK: Reading

  private static let deepest = 32

  private static func either(_ parser: inout ExpressionParser, depth: Int) throws(ExpressionError) -> Condition {
    var result = try both(&parser, depth: depth)
    while parser.take("||") { result = .either(result, try both(&parser, depth: depth)) }
    return result
  }

  private static func both(_ parser: inout ExpressionParser, depth: Int) throws(ExpressionError) -> Condition {
    var result = try single(&parser, depth: depth)
    while parser.take("&&") { result = .both(result, try single(&parser, depth: depth)) }
    return result
  }

  /// A bracket may begin a condition or an expression: the latter is tried first.
  private static func single(_ parser: inout ExpressionParser, depth: Int) throws(ExpressionError) -> Condition {
    guard depth < deepest else { throw parser.error("nested too deeply") }
    let start = parser.offset
    do {
      return try comparison(&parser)
    } catch {
      parser.rewind(to: start)
      if parser.take("!") {
        return .not(try single(&parser, depth: depth + 1))
      }
      guard parser.take("(") else { throw error }
      let inner = try either(&parser, depth: depth + 1)
      try parser.expect(")")
      return inner
    }
  }

  private static func comparison(_ parser: inout ExpressionParser) throws(ExpressionError) -> Condition {
    let expression = try parser.expression()
    guard let comparison = Comparison.inOrder.first(where: { parser.take($0.rawValue) }) else {
      throw parser.error("a comparison is expected (== != < <= > >= &)")
    }
    if let number = parser.number() { return .comparison(expression, comparison, .number(number)) }
    guard let name = parser.identifier() else { throw parser.error("a number or an enumerator is expected") }
    return .comparison(expression, comparison, .name(name))
  }
}

/// The value of an argument.
public struct ArgumentValue: Hashable, Sendable {
  /// Sign-extended to 64 bits where it is signed.
  public var bits: UInt64
  public var isSigned: Bool

  public init(bits: UInt64, isSigned: Bool) {
    self.bits = bits
    self.isSigned = isSigned
  }

  fileprivate func meets(_ comparison: Condition.Comparison, _ number: UInt64) -> Bool {
    let isLess = isSigned ? Int64(bitPattern: bits) < Int64(bitPattern: number) : bits < number
    return switch comparison {
    case .equal: bits == number
    case .unequal: bits != number
    case .less: isLess
    case .lessOrEqual: isLess || bits == number
    case .greater: !isLess && bits != number
    case .greaterOrEqual: !isLess
    case .anyBit: bits & number != 0
    }
  }
}
