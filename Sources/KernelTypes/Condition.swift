/// When a probe counts: `addr == 0x133025`, `addr >= 0x100000 && walker->level == 3`.
public indirect enum Condition: Hashable, Sendable {
  case comparison(Expression, Comparison, UInt64)
  case both(Condition, Condition)
  case either(Condition, Condition)
  case not(Condition)

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
    case .comparison(let expression, let comparison, let number):
      guard let value = value(expression) else { return false }
      return value.meets(comparison, number)
    case .both(let first, let second): return first.holds(value) && second.holds(value)
    case .either(let first, let second): return first.holds(value) || second.holds(value)
    case .not(let inner): return !inner.holds(value)
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
    guard let number = parser.number() else { throw parser.error("a number is expected") }
    return .comparison(expression, comparison, number)
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
