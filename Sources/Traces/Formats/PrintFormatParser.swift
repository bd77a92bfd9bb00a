/// Parses a print format: a format string and its arguments, expressions of C with a few functions of the kernel
/// (include/trace/stages/stage3_trace_output.h, Linux 6.19).
struct PrintFormatParser {
  private let format: EventFormat
  private var lexer: PrintFormatLexer
  /// The operators and parentheses that may still come. Bounds the depth of what is built, whatever the text.
  private var budget = 1000
  /// The names that a statement expression declares.
  private var locals: [String: Local] = [:]

  private enum Local {
    /// A table of strings.
    case strings([[UInt8]])
    /// A variable of a union of bits, and the word that was assigned to it.
    case bits(PrintExpression?)
    /// Any other.
    case other
  }

  init(_ format: EventFormat) throws(PrintFormatError) {
    self.format = format
    lexer = try PrintFormatLexer(Array(format.printFormat.utf8), longSize: format.machine.longSize)
  }

  /// The format string and its arguments.
  mutating func parse() throws(PrintFormatError) -> (string: [UInt8], arguments: [PrintExpression]) {
    let result = try formatAndArguments()
    guard lexer.token == .end else { throw lexer.unexpected }
    return result
  }

  private mutating func formatAndArguments() throws(PrintFormatError) -> ([UInt8], [PrintExpression]) {
    guard case .string(let string) = lexer.token else { throw lexer.error(.noFormatString) }
    try lexer.advance()
    var arguments: [PrintExpression] = []
    while try skip(",") { arguments.append(try expression()) }
    return (string, arguments)
  }

  // MARK: Tokens

  private mutating func skip(_ punctuation: String) throws(PrintFormatError) -> Bool {
    guard lexer.token == .punctuation(punctuation) else { return false }
    try lexer.advance()
    return true
  }

  private mutating func expect(_ punctuation: String) throws(PrintFormatError) {
    guard try skip(punctuation) else { throw lexer.unexpected }
  }

  private mutating func identifier() throws(PrintFormatError) -> String {
    guard case .identifier(let name) = lexer.token else { throw lexer.unexpected }
    try lexer.advance()
    return name
  }

  private mutating func spend() throws(PrintFormatError) {
    budget -= 1
    if budget < 0 { throw lexer.error(.tooComplex) }
  }

  // MARK: Operators

  private mutating func expression() throws(PrintFormatError) -> PrintExpression {
    let condition = try operation(tighterThan: 0)
    guard try skip("?") else { return condition }
    try spend()
    // `a ?: b` of GNU C.
    let first = lexer.token == .punctuation(":") ? condition : try expression()
    try expect(":")
    let second = try expression()
    if case .integer(let value, _) = condition { return value != 0 ? first : second }
    return .conditional(condition, first, second)
  }

  private var nextOperator: COperator? {
    guard case .punctuation(let text) = lexer.token else { return nil }
    return COperator.spellings.first { $0.0 == text }?.1
  }

  private mutating func operation(tighterThan minimum: Int) throws(PrintFormatError) -> PrintExpression {
    var left = try unary()
    while let next = nextOperator, next.precedence > minimum {
      try spend()
      try lexer.advance()
      let right = try operation(tighterThan: next.precedence)
      left = Self.folded(next, left, right)
    }
    return left
  }

  private static func folded(_ op: COperator, _ left: PrintExpression, _ right: PrintExpression) -> PrintExpression {
    guard case .integer(let a, let leftType) = left, case .integer(let b, let rightType) = right else {
      return .operation(op, left, right)
    }
    let (operands, result) = op.types(leftType, rightType)
    let isLogical = op == .logicalAnd || op == .logicalOr
    let value =
      isLogical ? op.apply(a, b, operands) : op.apply(operands.value(of: a), operands.value(of: b), operands)
    return .integer(value, result)
  }

  private mutating func unary() throws(PrintFormatError) -> PrintExpression {
    guard case .punctuation(let text) = lexer.token else { return try postfix() }
    switch text {
    case "-":
      let operand = try operand()
      guard case .integer(let value, let type) = operand else { return .negate(operand) }
      return .integer(type.promoted.value(of: 0 &- value), type.promoted)
    case "~":
      let operand = try operand()
      guard case .integer(let value, let type) = operand else { return .complement(operand) }
      return .integer(type.promoted.value(of: ~value), type.promoted)
    case "!":
      let operand = try operand()
      guard case .integer(let value, _) = operand else { return .not(operand) }
      return .integer(value == 0 ? 1 : 0, .int)
    case "+":
      return try operand()
    case "&":
      // The address of an array is that of its data, and so is the array itself.
      return try operand()
    default:
      return try postfix()
    }
  }

  private mutating func operand() throws(PrintFormatError) -> PrintExpression {
    try spend()
    try lexer.advance()
    return try unary()
  }

  // MARK: Primaries

  private mutating func postfix() throws(PrintFormatError) -> PrintExpression {
    switch lexer.token {
    case .integer(let value, let type):
      try lexer.advance()
      return .integer(value, type)
    case .string(let bytes):
      try lexer.advance()
      return .string(bytes)
    case .identifier(let name):
      try lexer.advance()
      return try named(name)
    case .punctuation("("):
      try spend()
      try lexer.advance()
      return try parenthesized()
    default:
      throw lexer.unexpected
    }
  }

  /// What follows an opening parenthesis: a cast, a statement expression or an expression.
  private mutating func parenthesized() throws(PrintFormatError) -> PrintExpression {
    if lexer.token == .punctuation("{") { return try statementExpression() }
    if lexer.token == .identifier("REC") { return try record() }
    if case .identifier(let word) = lexer.token, isTypeWord(word) {
      let type = try typeName()
      try expect(")")
      let operand = try unary()
      guard let type else { return .pointer(operand) }
      if case .integer(let value, _) = operand { return .integer(type.value(of: value), type) }
      return .cast(type, operand)
    }
    let inner = try expression()
    try expect(")")
    return try subscripted(inner)
  }

  /// `(REC)->name`, or an expression in parentheses that begins with a field.
  private mutating func record() throws(PrintFormatError) -> PrintExpression {
    let start = lexer
    try lexer.advance()
    if try skip(")") {
      try expect("->")
      return try subscripted(.field(try field()))
    }
    lexer = start
    let inner = try expression()
    try expect(")")
    return try subscripted(inner)
  }

  private func isTypeWord(_ word: String) -> Bool {
    switch word {
    case "struct", "union", "enum", "const", "volatile", "void", "unsigned", "signed", "char", "short", "int", "long":
      true
    default: CInteger.named([word], longSize: format.machine.longSize) != nil
    }
  }

  /// A type's words and stars up to the closing parenthesis; nil for a pointer type.
  private mutating func typeName() throws(PrintFormatError) -> CInteger? {
    var words: [String] = []
    var isPointer = false
    let error = lexer.error(.unknownType("void"))
    while true {
      if case .identifier(let word) = lexer.token {
        if !["const", "volatile", "__user", "__force"].contains(word) { words.append(word) }
        try lexer.advance()
      } else if try skip("*") {
        isPointer = true
      } else {
        break
      }
    }
    if isPointer { return nil }
    guard let type = CInteger.named(words, longSize: format.machine.longSize) else {
      throw PrintFormatError(problem: .unknownType(words.joined(separator: " ")), offset: error.offset)
    }
    return type
  }

  private mutating func subscripted(_ base: PrintExpression) throws(PrintFormatError) -> PrintExpression {
    guard lexer.token == .punctuation("[") else { return base }
    let error = lexer.unexpected
    try lexer.advance()
    let index = try expression()
    try expect("]")
    switch base {
    case .field(let field), .data(let field), .text(let field): return .element(field, index)
    default: throw error
    }
  }

  private mutating func named(_ name: String) throws(PrintFormatError) -> PrintExpression {
    if name == "REC" {
      try expect("->")
      return try subscripted(.field(try field()))
    }
    if let local = locals[name] { return try self.local(local) }
    if lexer.token == .punctuation("(") {
      try lexer.advance()
      let call = try function(name)
      try expect(")")
      return try subscripted(call)
    }
    switch name {
    case "true": return .integer(1, .int)
    case "false", "NULL": return .integer(0, .int)
    default:
      if let value = KernelConstants.values[name] { return .integer(value, .int) }
      throw lexer.error(.unknownName(name))
    }
  }

  private mutating func field() throws(PrintFormatError) -> EventField {
    let error = lexer.error(.unexpectedEnd)
    let name = try identifier()
    guard let field = format.field(name) else {
      throw PrintFormatError(problem: .unknownField(name), offset: error.offset)
    }
    return field
  }

  // MARK: Functions

  /// A call, up to its closing parenthesis.
  private mutating func function(_ name: String) throws(PrintFormatError) -> PrintExpression {
    switch name {
    case "__print_symbolic", "__print_symbolic_u64", "__print_symbolic64":
      let value = try expression()
      return .symbolic(value, try names())
    case "__print_flags", "__print_flags_u64", "__print_flags64":
      let value = try expression()
      try expect(",")
      var delimiter: [UInt8] = []
      if case .string(let bytes) = lexer.token {
        delimiter = bytes
        try lexer.advance()
      } else if case .integer(0, _) = try expression() {
        // NULL: the names follow one another.
      }
      return .flags(value, delimiter: delimiter, try names())
    case "__print_hex", "__print_hex_str":
      let data = try expression()
      try expect(",")
      return .hexadecimal(data, count: try expression(), hasBlanks: name == "__print_hex")
    case "__print_array":
      let data = try expression()
      try expect(",")
      let count = try expression()
      try expect(",")
      return .array(data, count: count, elementSize: try expression())
    case "__print_dynamic_array":
      let field = try field()
      try expect(",")
      let elementSize = try expression()
      return .array(
        .data(field), count: Self.folded(.divide, .dataSize(field), elementSize), elementSize: elementSize)
    case "__get_str", "__get_rel_str": return .text(try field())
    case "__get_dynamic_array", "__get_rel_dynamic_array": return .data(try field())
    case "__get_dynamic_array_len", "__get_rel_dynamic_array_len": return .dataSize(try field())
    case "__get_bitmask", "__get_rel_bitmask", "__get_cpumask", "__get_rel_cpumask": return .bitmask(try field())
    case "__print_ns_to_secs", "__print_ns_without_secs":
      let time = PrintExpression.cast(CInteger(size: 8, isSigned: false), try expression())
      let second = PrintExpression.integer(1_000_000_000, .unsignedInt)
      let isWhole = name == "__print_ns_to_secs"
      return isWhole
        ? .operation(.divide, time, second) : .cast(.unsignedInt, .operation(.remainder, time, second))
    case "__builtin_expect":
      let value = try expression()
      try expect(",")
      _ = try expression()
      return value
    case "sizeof":
      return try size()
    default:
      throw lexer.error(.unknownFunction(name))
    }
  }

  private mutating func size() throws(PrintFormatError) -> PrintExpression {
    let sizeType = CInteger(size: format.machine.longSize, isSigned: false)
    if case .identifier(let word) = lexer.token, isTypeWord(word) {
      return .integer(UInt64(try typeName()?.size ?? format.machine.longSize), sizeType)
    }
    let error = lexer.error(.mismatch("sizeof"))
    switch try expression() {
    case .field(let field): return .integer(UInt64(field.size), sizeType)
    case .element(let field, _): return .integer(UInt64(field.elementSize), sizeType)
    default: throw error
    }
  }

  /// `, { 1, "one" }, { 1 << 1, "two" }`: the names of numbers. A number that only the kernel's headers know takes its
  /// name out of the table.
  private mutating func names() throws(PrintFormatError) -> [PrintName] {
    var names: [PrintName] = []
    while try skip(",") {
      try expect("{")
      if try skip("}") { continue }
      let savedBudget = budget
      let value = try constant()
      budget = savedBudget
      try expect(",")
      guard let name = try name() else { continue }
      if let value { names.append(PrintName(value: value, name: name)) }
    }
    return names
  }

  /// The string of an entry and the brace after it; nil for the entry with NULL that ends some tables.
  private mutating func name() throws(PrintFormatError) -> [UInt8]? {
    let error = lexer.unexpected
    let name = try expression()
    _ = try skip(",")
    try expect("}")
    switch name {
    case .string(let bytes): return bytes
    case .integer(0, _), .pointer(.integer(0, _)): return nil
    default: throw error
    }
  }

  private mutating func constant() throws(PrintFormatError) -> UInt64? {
    let start = lexer
    do throws(PrintFormatError) {
      guard case .integer(let value, _) = try expression() else { throw lexer.unexpected }
      return value
    } catch {
      guard case .unknownName = error.problem else { throw error }
      lexer = start
      try skipConstant()
      return nil
    }
  }

  /// Goes to the comma that ends an entry's number.
  private mutating func skipConstant() throws(PrintFormatError) {
    var depth = 0
    while depth > 0 || lexer.token != .punctuation(",") {
      switch lexer.token {
      case .punctuation("("): depth += 1
      case .punctuation(")"): depth -= 1
      case .end: throw lexer.unexpected
      default: break
      }
      try lexer.advance()
    }
  }

  // MARK: Statement expressions

  /// The statement expressions of KVM's page events (KVM_MMU_PAGE_PRINTK of arch/x86/kvm/mmu/mmutrace.h): they declare
  /// a table of strings and a variable for the role's bits, print to a buffer, and give its address.
  private mutating func statementExpression() throws(PrintFormatError) -> PrintExpression {
    try expect("{")
    var printed: (string: [UInt8], arguments: [PrintExpression])?
    while try !skip("}") {
      guard case .identifier(let word) = lexer.token else { throw lexer.unexpected }
      if word == "trace_seq_printf" {
        try lexer.advance()
        try expect("(")
        _ = try identifier()
        try expect(",")
        printed = try formatAndArguments()
        try expect(")")
      } else if locals[word] != nil {
        try lexer.advance()
        try assignment(to: word)
      } else {
        try declaration()
      }
      try expect(";")
    }
    try expect(")")
    guard let printed else { throw lexer.error(.unexpected("a statement expression that prints nothing")) }
    return .statement(printed.string, printed.arguments)
  }

  /// `static const char *name[] = { "a", "b" }`, `union kvm_mmu_page_role role`, `const char *name = f(p)`.
  private mutating func declaration() throws(PrintFormatError) {
    var name = ""
    while true {
      if case .identifier(let word) = lexer.token {
        name = word
        try lexer.advance()
      } else if try !skip("*") {
        break
      }
    }
    guard !name.isEmpty else { throw lexer.unexpected }
    if try skip("[") {
      try expect("]")
      try expect("=")
      locals[name] = .strings(try stringTable())
    } else if try skip("=") {
      _ = try identifier()
      try expect("(")
      _ = try identifier()
      try expect(")")
      locals[name] = .other
    } else {
      locals[name] = .bits(nil)
    }
  }

  private mutating func stringTable() throws(PrintFormatError) -> [[UInt8]] {
    var strings: [[UInt8]] = []
    try expect("{")
    repeat {
      guard case .string(let bytes) = lexer.token else { break }
      strings.append(bytes)
      try lexer.advance()
    } while try skip(",")
    try expect("}")
    return strings
  }

  /// `role.word = REC->role`, or the name alone, which is the statement's value.
  private mutating func assignment(to name: String) throws(PrintFormatError) {
    guard try skip(".") else { return }
    _ = try identifier()
    try expect("=")
    locals[name] = .bits(try expression())
  }

  /// `access_str[index]`, `role.level`.
  private mutating func local(_ local: Local) throws(PrintFormatError) -> PrintExpression {
    switch local {
    case .strings(let strings):
      try expect("[")
      let index = try expression()
      try expect("]")
      return .choice(strings, index)
    case .bits(let word?):
      try expect(".")
      let error = lexer.error(.unexpectedEnd)
      let name = try identifier()
      guard let (shift, count) = Self.roleBits[name] else {
        throw PrintFormatError(problem: .unknownName(name), offset: error.offset)
      }
      let shifted = PrintExpression.operation(.shiftRight, word, .integer(shift, .int))
      return .operation(.and, shifted, .integer(1 << count - 1, .unsignedInt))
    case .bits(nil), .other:
      throw lexer.unexpected
    }
  }

  /// The bits of `union kvm_mmu_page_role`: first bit and number. They have kept their places from 4.x to 6.19, while
  /// bit 4 changed its meaning and with it its name (arch/x86/include/asm/kvm_host.h).
  private static let roleBits: [String: (first: UInt64, count: UInt64)] = [
    "level": (0, 4), "has_4_byte_gpte": (4, 1), "gpte_is_8_bytes": (4, 1), "cr4_pae": (4, 1), "quadrant": (5, 2),
    "direct": (7, 1), "access": (8, 3), "invalid": (11, 1), "efer_nx": (12, 1), "nxe": (12, 1), "cr0_wp": (13, 1),
    "smep_andnot_wp": (14, 1), "smap_andnot_wp": (15, 1), "ad_disabled": (16, 1), "guest_mode": (17, 1),
  ]
}
