import Files

/// Turns a print format into a program.
struct PrintFormatCompiler {
  private(set) var program = PrintProgram()
  private let format: EventFormat
  /// Text that the next printing step will print first.
  private var pending: [UInt8] = []
  private var depth = 0

  init(_ format: EventFormat) {
    self.format = format
    program.byteOrder = format.machine.byteOrder
    program.longSize = format.machine.longSize
  }

  static func compile(_ format: EventFormat) throws(PrintFormatError) -> PrintProgram {
    var parser = try PrintFormatParser(format)
    let (string, arguments) = try parser.parse()
    var compiler = PrintFormatCompiler(format)
    try compiler.compile(string, arguments)
    compiler.flush()
    return compiler.program
  }

  private var byteOrder: ByteOrder { format.machine.byteOrder }
  private var address: CInteger { CInteger(size: format.machine.longSize, isSigned: false) }

  private func error(_ problem: PrintFormatError.Problem) -> PrintFormatError {
    PrintFormatError(problem: problem, offset: 0)
  }

  // MARK: The format string

  private mutating func compile(_ string: [UInt8], _ arguments: [PrintExpression]) throws(PrintFormatError) {
    var rest = arguments[...]
    var offset = 0
    while offset < string.count {
      guard string[offset] == UInt8(ascii: "%") else {
        pending.append(string[offset])
        offset += 1
        continue
      }
      let start = offset
      guard let conversion = PrintConversion(string, at: &offset, longSize: format.machine.longSize) else {
        throw unknown(string, from: start)
      }
      if conversion.kind == .percent {
        pending.append(UInt8(ascii: "%"))
        continue
      }
      if conversion.width == .argument { try pushSize(&rest) }
      if conversion.precision == .argument { try pushSize(&rest) }
      guard let argument = rest.popFirst() else { throw error(.missingArgument) }
      do throws(PrintFormatError) {
        try compile(conversion, argument)
      } catch {
        if case .unknownConversion = error.problem { throw unknown(string, from: start) }
        throw error
      }
    }
  }

  private func unknown(_ string: [UInt8], from start: Int) -> PrintFormatError {
    error(.unknownConversion(String(decoding: string[start...].prefix(8), as: UTF8.self)))
  }

  /// Pushes the value of a `*`.
  private mutating func pushSize(_ arguments: inout ArraySlice<PrintExpression>) throws(PrintFormatError) {
    guard let argument = arguments.popFirst() else { throw error(.missingArgument) }
    try convert(try value(argument), to: .int)
  }

  private mutating func compile(_ conversion: PrintConversion, _ argument: PrintExpression) throws(PrintFormatError) {
    switch conversion.kind {
    case .percent: break
    case .signed: try number(conversion, argument, CInteger(size: conversion.argumentSize, isSigned: true))
    case .unsigned, .hexadecimal, .octal:
      try number(conversion, argument, CInteger(size: conversion.argumentSize, isSigned: false))
    case .character:
      try convert(try value(argument), to: CInteger(size: 1, isSigned: false))
      try formatted(conversion) { (compiler) throws(PrintFormatError) in compiler.emit(PrintStep(.character), taking: 1)
      }
    case .string:
      try formatted(conversion) { (compiler) throws(PrintFormatError) in try compiler.text(argument) }
    case .pointer(let letters): try pointer(letters, conversion, argument)
    }
  }

  /// Prints with `body`, and aligns and cuts what it printed if the conversion says so.
  private mutating func formatted(
    _ conversion: PrintConversion, _ body: (inout PrintFormatCompiler) throws(PrintFormatError) -> Void
  ) throws(PrintFormatError) {
    guard conversion.width != nil || conversion.precision != nil else { return try body(&self) }
    flush()
    if conversion.kind == .character {
      // The character lies above the place of the mark: it is small enough to be pushed again.
      throw error(.mismatch("a character with a width"))
    }
    try push(PrintStep(.mark))
    try body(&self)
    flush()
    var step = PrintStep(.finish)
    step.index = add(conversion)
    emit(step, taking: 1 + sizeArguments(conversion))
  }

  private func sizeArguments(_ conversion: PrintConversion) -> Int {
    (conversion.width == .argument ? 1 : 0) + (conversion.precision == .argument ? 1 : 0)
  }

  private mutating func add(_ conversion: PrintConversion) -> Int32 {
    program.conversions.append(conversion)
    return Int32(program.conversions.count - 1)
  }

  // MARK: Numbers

  private mutating func number(
    _ conversion: PrintConversion, _ argument: PrintExpression, _ type: CInteger
  ) throws(PrintFormatError) {
    if let rest = conversion.withoutPrefix {
      pending += Array("0x".utf8)
      return try number(rest, argument, type)
    }
    let zeroPaddedWidth = conversion.zeroPaddedHexadecimalWidth
    if conversion.isPlain || zeroPaddedWidth != nil, let (data, loaded) = directField(argument, as: type) {
      var step = PrintStep(
        zeroPaddedWidth != nil
          ? .fieldZeroPaddedHexadecimal
          : conversion.kind == .hexadecimal
            ? .fieldHexadecimal : conversion.kind == .signed ? .fieldSignedDecimal : .fieldDecimal)
      if conversion.kind != .octal {
        step.data = data
        step.type = PrintType(loaded, byteOrder)
        step.index = Int32(zeroPaddedWidth ?? 0)
        require(data)
        return emit(step, taking: 0)
      }
    }
    let argumentType = try value(argument)
    // An int passed for a longer conversion leaves the high half of its register 0.
    let passed = CInteger(size: argumentType.promoted.size, isSigned: false)
    if passed.size < type.size { try convert(argumentType, to: passed) }
    try convert(CInteger(size: 8, isSigned: false), to: type)
    if let zeroPaddedWidth {
      var step = PrintStep(.zeroPaddedHexadecimal)
      step.index = Int32(zeroPaddedWidth)
      return emit(step, taking: 1)
    }
    if conversion.isPlain, conversion.kind != .octal {
      let code: PrintStep.Code =
        conversion.kind == .hexadecimal ? .hexadecimal : conversion.kind == .signed ? .signedDecimal : .decimal
      return emit(PrintStep(code), taking: 1)
    }
    var step = PrintStep(.number)
    step.index = add(conversion)
    emit(step, taking: 1 + sizeArguments(conversion))
  }

  /// Where an argument that is just a field lies, and the type to load it as, if that alone makes it right for a
  /// conversion of this type.
  private func directField(_ argument: PrintExpression, as type: CInteger) -> (PrintData, CInteger)? {
    guard let (data, field) = scalar(argument) else { return nil }
    if field.size == type.size { return (data, type) }
    if field.size < type.size, !field.isSigned { return (data, field) }
    if field.size < 4, type == .int { return (data, field) }
    if field.size == 4, type.size == 8 { return (data, .unsignedInt) }
    return nil
  }

  /// The place and type of a field, or of an array's element whose index is a number.
  private func scalar(_ expression: PrintExpression) -> (PrintData, CInteger)? {
    switch expression {
    case .field(let field):
      guard field.kind == .scalar, [1, 2, 4, 8].contains(field.size) else { return nil }
      return (PrintData(field), CInteger(size: field.size, isSigned: field.isSigned))
    case .element(let field, .integer(let index, _)):
      guard case .array(let elementSize, let count) = field.kind, index < UInt64(count),
        [1, 2, 4, 8].contains(elementSize)
      else { return nil }
      let data = PrintData(
        kind: .fixed, offset: UInt16(truncatingIfNeeded: field.offset + Int(index) * elementSize),
        size: UInt16(truncatingIfNeeded: elementSize))
      return (data, CInteger(size: elementSize, isSigned: field.isSigned))
    default: return nil
    }
  }

  private mutating func require(_ data: PrintData) {
    guard data.kind == .fixed else { return }
    program.minimumRecordSize = max(program.minimumRecordSize, Int(data.offset) + Int(data.size))
  }

  // MARK: Values

  /// Pushes the expression's value and gives its type.
  private mutating func value(_ expression: PrintExpression) throws(PrintFormatError) -> CInteger {
    if let (data, type) = scalar(expression) {
      var step = PrintStep(.load)
      step.data = data
      step.type = PrintType(type, byteOrder)
      require(data)
      try push(step)
      return type
    }
    switch expression {
    case .integer(let value, let type):
      var step = PrintStep(.constant)
      step.operand = value
      try push(step)
      return type
    case .element(let field, let index): return try element(field, index)
    case .dataSize(let field):
      var step = PrintStep(.dataSize)
      step.data = PrintData(field)
      try push(step)
      return .int
    case .negate(let operand): return try unary(.negate, operand)
    case .complement(let operand): return try unary(.complement, operand)
    case .not(let operand):
      _ = try value(operand)
      program.steps.append(PrintStep(.not))
      return .int
    case .cast(let type, let operand):
      try convert(try value(operand), to: type)
      return type
    case .pointer(let operand):
      try convert(try value(operand), to: address)
      return address
    case .operation(.logicalAnd, let left, let right): return try logical(left, right, shortValue: 0)
    case .operation(.logicalOr, let left, let right): return try logical(left, right, shortValue: 1)
    case .operation(let op, let left, let right): return try operation(op, left, right)
    case .conditional(let condition, let first, let second): return try conditional(condition, first, second)
    case .text:
      // The address of a text, which is never NULL.
      return try value(.integer(1, address))
    default:
      throw error(.mismatch("a number"))
    }
  }

  private mutating func unary(_ code: PrintStep.Code, _ operand: PrintExpression) throws(PrintFormatError) -> CInteger {
    let type = try value(operand).promoted
    var step = PrintStep(code)
    step.type = PrintType(type, byteOrder)
    program.steps.append(step)
    return type
  }

  private mutating func operation(
    _ op: COperator, _ left: PrintExpression, _ right: PrintExpression
  ) throws(PrintFormatError) -> CInteger {
    let leftType = try value(left)
    let leftEnd = program.steps.count
    let rightType = try value(right)
    let (operands, result) = op.types(leftType, rightType)
    let isShift = op == .shiftLeft || op == .shiftRight
    if !isShift { try convert(rightType, to: operands) }
    if needsConversion(leftType, operands) {
      // The left value lies below the right one: its conversion goes between them, before any jump target that the
      // right one's steps hold.
      var step = PrintStep(.convert)
      step.type = PrintType(operands, byteOrder)
      program.steps.insert(step, at: leftEnd)
      for index in (leftEnd + 1)..<program.steps.count where isJump(program.steps[index]) {
        program.steps[index].index += 1
      }
    }
    var step = PrintStep(.operation)
    step.index = Int32(op.rawValue)
    step.type = PrintType(operands, byteOrder)
    depth -= 1
    program.steps.append(step)
    return result
  }

  private func isJump(_ step: PrintStep) -> Bool { step.code == .jump || step.code == .jumpIfZero }

  private mutating func logical(
    _ left: PrintExpression, _ right: PrintExpression, shortValue: UInt64
  ) throws(PrintFormatError) -> CInteger {
    // left && right is left ? !!right : 0, and left || right is left ? 1 : !!right.
    let truth = PrintExpression.not(.not(right))
    let short = PrintExpression.integer(shortValue, .int)
    return try shortValue == 0 ? conditional(left, truth, short) : conditional(left, short, truth)
  }

  private mutating func conditional(
    _ condition: PrintExpression, _ first: PrintExpression, _ second: PrintExpression
  ) throws(PrintFormatError) -> CInteger {
    // Both arms are converted to their common type, which is known once both are compiled; so the first arm's
    // conversion is put in front of its jump afterwards, as a step that is there in any case.
    _ = try value(condition)
    let toSecond = jump(.jumpIfZero)
    let firstType = try value(first)
    let conversion = program.steps.count
    program.steps.append(PrintStep(.convert))
    let toEnd = jump(.jump)
    depth -= 1
    land(toSecond)
    let secondType = try value(second)
    let type = CInteger.common(firstType, secondType)
    program.steps[conversion].type = PrintType(type, byteOrder)
    try convert(secondType, to: type)
    land(toEnd)
    return type
  }

  private mutating func element(_ field: EventField, _ index: PrintExpression) throws(PrintFormatError) -> CInteger {
    let type = CInteger(size: field.elementSize, isSigned: field.isSigned && field.kind != .scalar)
    guard field.kind != .scalar, [1, 2, 4, 8].contains(type.size) else { throw error(.mismatch("an array")) }
    try convert(try value(index), to: CInteger(size: 8, isSigned: false))
    var step = PrintStep(.element)
    step.data = PrintData(field)
    step.type = PrintType(type, byteOrder)
    require(step.data)
    program.steps.append(step)
    return type
  }

  private func needsConversion(_ from: CInteger, _ to: CInteger) -> Bool {
    if from == to || to.size == 8 { return false }
    // A smaller unsigned value is right in any larger type, a smaller signed one in any larger signed one.
    if from.size < to.size, !from.isSigned || to.isSigned { return false }
    return true
  }

  private mutating func convert(_ from: CInteger, to type: CInteger) throws(PrintFormatError) {
    guard needsConversion(from, type) else { return }
    var step = PrintStep(.convert)
    step.type = PrintType(type, byteOrder)
    program.steps.append(step)
  }

  // MARK: Texts

  /// Prints what a `%s` stands for.
  private mutating func text(_ expression: PrintExpression) throws(PrintFormatError) {
    switch expression {
    case .string(let bytes):
      pending += bytes
    case .symbolic(let operand, let names):
      try widen(operand)
      var step = PrintStep(.symbolic)
      step.index = Int32(program.addTable(symbolic: names))
      emit(step, taking: 1)
    case .flags(let operand, let delimiter, let names):
      try widen(operand)
      var step = PrintStep(.flags)
      step.index = Int32(program.addTable(flags: names, delimiter: delimiter))
      emit(step, taking: 1)
    case .conditional(let condition, let first, let second):
      flush()
      _ = try value(condition)
      let toSecond = jump(.jumpIfZero)
      try text(first)
      flush()
      let toEnd = jump(.jump)
      land(toSecond)
      try text(second)
      flush()
      land(toEnd)
    case .text(let field), .data(let field):
      emitData(.text, field)
    case .bitmask(let field):
      emitData(.bitmask, field)
    case .field(let field) where field.kind != .scalar:
      emitData(.text, field)
    case .hexadecimal(let data, let count, let hasBlanks):
      let field = try self.data(data)
      try convert(try value(count), to: .int)
      var step = PrintStep(.hexadecimalBytes)
      step.operand = hasBlanks ? 1 : 0
      emitData(step, field, taking: 1)
    case .array(let data, let count, .integer(let elementSize, _)):
      let field = try self.data(data)
      guard [1, 2, 4, 8].contains(elementSize) else { throw error(.mismatch("an array")) }
      try convert(try value(count), to: .int)
      var step = PrintStep(.array)
      step.type = PrintType(CInteger(size: Int(elementSize), isSigned: false), byteOrder)
      emitData(step, field, taking: 1)
    case .choice(let strings, let index):
      try widen(index)
      let names = strings.enumerated().map { PrintName(value: UInt64($0.offset), name: $0.element) }
      var step = PrintStep(.choice)
      step.index = Int32(program.addTable(symbolic: names))
      emit(step, taking: 1)
    case .statement(let string, let arguments):
      flush()
      try push(PrintStep(.mark))
      try compile(string, arguments)
      flush()
      emit(PrintStep(.finishStatement), taking: 1)
    case .pointer(let operand):
      try text(operand)
    default:
      try convert(try value(expression), to: address)
      emit(PrintStep(.pointedText), taking: 1)
    }
  }

  /// Pushes a value as an `unsigned long`.
  private mutating func widen(_ operand: PrintExpression) throws(PrintFormatError) {
    try convert(try value(operand), to: CInteger(size: 8, isSigned: false))
  }

  /// The field whose bytes an expression points to.
  private func data(_ expression: PrintExpression) throws(PrintFormatError) -> EventField {
    switch expression {
    case .data(let field), .text(let field): return field
    case .field(let field) where field.kind != .scalar: return field
    case .pointer(let operand): return try data(operand)
    default: throw error(.mismatch("data"))
    }
  }

  private mutating func emitData(_ code: PrintStep.Code, _ field: EventField) {
    emitData(PrintStep(code), field, taking: 0)
  }

  private mutating func emitData(_ step: PrintStep, _ field: EventField, taking count: Int) {
    var step = step
    step.data = PrintData(field)
    require(step.data)
    emit(step, taking: count)
  }

  // MARK: Pointers

  /// The extensions of `%p` (Documentation/core-api/printk-formats.rst, Linux 6.19) that records can hold the data of.
  private mutating func pointer(
    _ letters: String, _ conversion: PrintConversion, _ argument: PrintExpression
  ) throws(PrintFormatError) {
    switch letters {
    case "S", "SR", "F", "B", "s", "sR", "f":
      try formatted(conversion) { (compiler) throws(PrintFormatError) in
        try compiler.convert(try compiler.value(argument), to: compiler.address)
        var step = PrintStep(.symbol)
        step.operand = letters.hasPrefix("s") || letters.hasPrefix("f") ? 0 : 1
        compiler.emit(step, taking: 1)
      }
    case "h", "hN", "hC", "hD":
      guard letters == "h" || letters == "hN" else { throw error(.unknownConversion("")) }
      // The width is the number of bytes.
      let field = try data(argument)
      if case .fixed(let count) = conversion.width { _ = try value(.integer(UInt64(count), .int)) }
      guard conversion.width != nil else { throw error(.unknownConversion("")) }
      var step = PrintStep(.hexadecimalBytes)
      step.operand = letters == "h" ? 1 : 0
      emitData(step, field, taking: 1)
    case "b", "bl":
      // The width is the number of bits.
      let field = try data(argument)
      if case .fixed(let count) = conversion.width { _ = try value(.integer(UInt64(count), .int)) }
      guard conversion.width != nil else { throw error(.unknownConversion("")) }
      var step = PrintStep(letters == "b" ? .bitmask : .bitmaskList)
      step.operand = 1
      emitData(step, field, taking: 1)
    case "I4", "i4": try bytes(.internet4, letters, argument)
    case "I6", "I6c", "i6": try bytes(.internet6, letters, argument)
    case "M", "m", "MF": try bytes(.hardwareAddress, letters, argument)
    case "U", "Ub", "UB", "Ul", "UL": try bytes(.uuid, letters, argument)
    case "", "x", "K", "X":
      try formatted(conversion) { (compiler) throws(PrintFormatError) in
        try compiler.convert(try compiler.value(argument), to: compiler.address)
        compiler.emit(PrintStep(.pointer), taking: 1)
      }
    default: throw error(.unknownConversion(""))
    }
  }

  private mutating func bytes(
    _ code: PrintStep.Code, _ letters: String, _ argument: PrintExpression
  ) throws(PrintFormatError) {
    var step = PrintStep(code)
    step.operand = letters.utf8.dropFirst().reduce(UInt64(letters.utf8.first ?? 0)) { $0 << 8 | UInt64($1) }
    emitData(step, try data(argument), taking: 0)
  }

  // MARK: Steps

  /// Adds a step that pushes a value.
  private mutating func push(_ step: PrintStep) throws(PrintFormatError) {
    depth += 1
    if depth > PrintProgram.stackSize { throw error(.tooComplex) }
    program.steps.append(step)
  }

  /// Adds a step that prints, after the text that waits.
  private mutating func emit(_ step: PrintStep, taking count: Int) {
    var step = step
    let literal = program.intern(pending)
    step.literalOffset = UInt32(truncatingIfNeeded: literal.lowerBound)
    step.literalCount = UInt32(truncatingIfNeeded: literal.count)
    pending = []
    depth -= count
    program.steps.append(step)
  }

  /// Prints the text that waits.
  private mutating func flush() {
    if !pending.isEmpty { emit(PrintStep(.literal), taking: 0) }
  }

  private mutating func jump(_ code: PrintStep.Code) -> Int {
    if code == .jumpIfZero { depth -= 1 }
    program.steps.append(PrintStep(code))
    return program.steps.count - 1
  }

  private mutating func land(_ jump: Int) { program.steps[jump].index = Int32(program.steps.count) }
}
