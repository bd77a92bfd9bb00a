/// How a probe at a function's entry or return gets a value, in the language of tracefs
/// (Documentation/trace/kprobetrace.rst, Linux 6.1).
public struct FetchArgument: Hashable, Sendable {
  /// What the user wrote; for the returned value, `return`.
  public var expression: String
  /// The name of the record's field: an identifier of at most 31 characters.
  public var field: String
  /// Where it is: `$arg2`, `+160($arg1)`, `+312(+0(+904($arg1)))`.
  public var place: String
  /// tracefs's name of its type: `x64`, `s32`, `symbol`, `string`, `b4@0/32`, `x8[15]`.
  public var fetchType: String
  public var form: ValueForm

  public init(expression: String, field: String, place: String, fetchType: String, form: ValueForm) {
    self.expression = expression
    self.field = field
    self.place = place
    self.fetchType = fetchType
    self.form = form
  }
}

/// How a value is shown.
public enum ValueForm: Hashable, Sendable {
  case decimal(isSigned: Bool)
  case hexadecimal
  case boolean
  case enumeration(KernelType.EnumerationType)
  /// The address of a function: shown as its symbol.
  case function
  case string
  /// Several of a form.
  case array(count: Int)
}

/// Why a function's argument cannot be had.
public struct ResolutionError: Error, Hashable, Sendable, CustomStringConvertible {
  public var reason: String
  /// The names that could have stood there.
  public var names: [String]

  public init(reason: String, names: [String] = []) {
    self.reason = reason
    self.names = names
  }

  public var description: String { reason }
}

extension BTF {
  /// How to get the value of `expression` at the entry of `function`.
  ///
  /// Parameters are where the System V ABI has them (AMD64 supplement, 3.2.3): the first six words in registers, which
  /// tracefs calls `$arg1` to `$arg6` (regs_get_kernel_argument in arch/x86/include/asm/ptrace.h, 6.1), further ones on the
  /// stack.
  public func fetch(_ expression: Expression, of function: KernelFunction) throws(ResolutionError) -> FetchArgument {
    let operand = try evaluate(expression, of: function)
    return try argument(operand, expression: expression.description, path: expression.path)
  }

  /// How to get what `function` returns, at its return; nil if it returns nothing.
  public func fetchReturned(by function: KernelFunction) throws(ResolutionError) -> FetchArgument? {
    guard let (_, type) = resolved(function.prototype.result), type != .void else { return nil }
    if case .structure = type {
      throw ResolutionError(reason: "\(function.name) returns a structure, which no probe can fetch")
    }
    return try argument(
      Operand(place: .value("$retval"), type: function.prototype.result), expression: "return", path: ["ret"])
  }

  /// All parameters, as they are.
  public func fetchParameters(of function: KernelFunction) -> [FetchArgument] {
    function.prototype.parameters.compactMap { try? fetch(.parameter($0.name), of: function) }
  }
}

// MARK: - Where a value is

/// A value with a type, or a place in memory.
private struct Operand {
  enum Place {
    /// What fetches the value.
    case value(String)
    /// What fetches the address, the bytes to add to it, and where in them a bit field lies.
    case memory(base: String, offset: Int, bits: BitField?)
  }

  struct BitField {
    /// From the byte at `offset`.
    var offset: Int
    var width: Int
  }

  var place: Place
  var type: TypeID
  /// What a cast says that it points to.
  var castTarget: TypeID?

  init(place: Place, type: TypeID) {
    self.place = place
    self.type = type
  }

  /// What fetches the value; nil for a bit field, which is no address.
  var fetch: String? {
    switch place {
    case .value(let fetch): fetch
    case .memory(let base, let offset, nil): "\(offset < 0 ? "" : "+")\(offset)(\(base))"
    case .memory: nil
    }
  }
}

extension BTF {
  private func evaluate(_ expression: Expression, of function: KernelFunction) throws(ResolutionError) -> Operand {
    switch expression {
    case .parameter(let name): return try parameter(name, of: function)
    case .member(let base, let name, let isThroughPointer):
      let operand = try evaluate(base, of: function)
      let structure = isThroughPointer ? try pointee(of: operand, base) : operand
      return try member(name, of: structure, base, isThroughPointer: isThroughPointer)
    case .element(let base, let index): return try element(index, of: evaluate(base, of: function), base)
    case .dereference(let base): return try pointee(of: evaluate(base, of: function), base)
    case .cast(let base, let type, let pointers):
      var operand = try evaluate(base, of: function)
      guard case .memory = operand.place else {
        return try cast(&operand, to: type, pointers)
      }
      guard let fetch = operand.fetch else { throw ResolutionError(reason: "\(base) is a bit field, not a pointer") }
      operand.place = .value(fetch)
      return try cast(&operand, to: type, pointers)
    }
  }

  private func cast(
    _ operand: inout Operand, to type: Expression.NamedType, _ pointers: Int
  ) throws(ResolutionError) -> Operand {
    let kind: NamedKind = type.keyword == "struct" ? .structure : type.keyword == "union" ? .union : .typedef
    guard let id = self.type(named: type.name, kind: kind) else {
      throw ResolutionError(reason: "the kernel has no type \(type.keyword) \(type.name)")
    }
    guard pointers == 1 else { throw ResolutionError(reason: "a cast is to a pointer with one star") }
    // Only what it points to is looked at from here on, and BTF need not have this very pointer's type.
    operand.castTarget = id
    return operand
  }

  private func parameter(_ name: String, of function: KernelFunction) throws(ResolutionError) -> Operand {
    var words = 0
    var stackWords = 1  // The first is the return address.
    for parameter in function.prototype.parameters {
      let size = self.size(of: parameter.type) ?? 8
      let needed = (size + 7) / 8
      let isStructure = if case .structure? = resolved(parameter.type)?.type { true } else { false }
      let isInRegisters = needed <= 2 && words + needed <= Self.registerCount
      if parameter.name == name {
        guard !isStructure else {
          throw ResolutionError(reason: "\(name) is a structure passed by value, of which no probe can fetch a member")
        }
        guard needed == 1 else {
          throw ResolutionError(reason: "\(name) has \(size) bytes, more than a probe can fetch")
        }
        let place = isInRegisters ? "$arg\(words + 1)" : "$stack\(stackWords)"
        return Operand(place: .value(place), type: parameter.type)
      }
      if isInRegisters { words += needed } else { stackWords += needed }
    }
    let names = function.prototype.parameters.map(\.name)
    throw ResolutionError(
      reason:
        "\(function.name) has no parameter \(name); it has \(names.isEmpty ? "none" : names.joined(separator: ", "))",
      names: names)
  }

  private static let registerCount = 6

  private func pointee(of operand: Operand, _ expression: Expression) throws(ResolutionError) -> Operand {
    guard let fetch = operand.fetch else {
      throw ResolutionError(reason: "\(expression) is a bit field, not a pointer")
    }
    if let target = operand.castTarget {
      return Operand(place: .memory(base: fetch, offset: 0, bits: nil), type: target)
    }
    switch resolved(operand.type)?.type {
    case .pointer(let target)?:
      return Operand(place: .memory(base: fetch, offset: 0, bits: nil), type: target)
    case .array(let element, _)?:
      return Operand(place: operand.place, type: element)
    case .structure?: throw ResolutionError(reason: "\(expression) is a structure, not a pointer: write . for ->")
    default: throw ResolutionError(reason: "\(expression) is no pointer")
    }
  }

  private func member(
    _ name: String, of operand: Operand, _ expression: Expression, isThroughPointer: Bool
  ) throws(ResolutionError) -> Operand {
    switch resolved(operand.type)?.type {
    case .structure(let structure)?:
      guard case .memory(let base, let offset, _) = operand.place else {
        throw ResolutionError(reason: "\(expression) is a structure passed by value")
      }
      guard let found = find(name, in: structure, depth: 0) else {
        throw ResolutionError(
          reason: "struct \(structure.name) has no member \(name)", names: memberNames(of: structure, depth: 0))
      }
      let (byteOffset, overflows) = offset.addingReportingOverflow(found.bitOffset / 8)
      guard !overflows else { throw ResolutionError(reason: "\(name) lies beyond any memory") }
      let bits =
        found.width > 0 ? Operand.BitField(offset: found.bitOffset % 8, width: found.width) : nil
      return Operand(place: .memory(base: base, offset: byteOffset, bits: bits), type: found.type)
    case .pointer?: throw ResolutionError(reason: "\(expression) is a pointer: write -> for .")
    case .forward(let name, _)?:
      throw ResolutionError(reason: "the kernel's type information does not say what a \(name) consists of")
    case .void? where isThroughPointer:
      throw ResolutionError(
        reason: "\(expression) points to void: say what it is, as in ((struct NAME *)\(expression))->\(name)")
    default: throw ResolutionError(reason: "\(expression) is no structure")
    }
  }

  private func element(
    _ index: Int, of operand: Operand, _ expression: Expression
  ) throws(ResolutionError) -> Operand {
    let start = try pointee(of: operand, expression)
    if case .array(_, let count)? = resolved(operand.type)?.type, index >= count {
      throw ResolutionError(reason: "\(expression) has \(count) elements")
    }
    guard case .memory(let base, let offset, _) = start.place, let size = size(of: start.type) else {
      throw ResolutionError(reason: "\(expression) has no elements")
    }
    let (distance, overflows) = size.multipliedReportingOverflow(by: index)
    let (place, carries) = offset.addingReportingOverflow(distance)
    guard !overflows, !carries else { throw ResolutionError(reason: "\(expression)[\(index)] lies beyond any memory") }
    return Operand(place: .memory(base: base, offset: place, bits: nil), type: start.type)
  }

  /// How deep unnamed members are looked into.
  private static let deepestNesting = 16

  private func find(
    _ name: String, in structure: KernelType.StructureType, depth: Int
  ) -> (type: TypeID, bitOffset: Int, width: Int)? {
    guard depth < Self.deepestNesting else { return nil }
    for member in structure.members {
      if member.name == name { return (member.type, member.bitOffset, member.bitFieldWidth) }
      guard member.name.isEmpty, case .structure(let inner)? = resolved(member.type)?.type,
        let found = find(name, in: inner, depth: depth + 1)
      else { continue }
      return (found.type, member.bitOffset &+ found.bitOffset, found.width)
    }
    return nil
  }

  private func memberNames(of structure: KernelType.StructureType, depth: Int) -> [String] {
    guard depth < Self.deepestNesting else { return [] }
    return structure.members.flatMap { member in
      guard member.name.isEmpty, case .structure(let inner)? = resolved(member.type)?.type else { return [member.name] }
      return memberNames(of: inner, depth: depth + 1)
    }
  }
}

// MARK: - What a value is

extension BTF {
  private func argument(
    _ operand: Operand, expression: String, path: [String]
  ) throws(ResolutionError) -> FetchArgument {
    let field = Self.fieldName(path)
    if case .memory(let base, let offset, let bits?) = operand.place {
      guard let size = size(of: operand.type), bits.offset + bits.width <= 8 * size else {
        throw ResolutionError(reason: "\(expression) is a bit field across words")
      }
      return FetchArgument(
        expression: expression, field: field, place: "+\(offset)(\(base))",
        fetchType: "b\(bits.width)@\(bits.offset)/\(8 * size)", form: form(of: operand.type, size))
    }
    guard let fetch = operand.fetch else { throw ResolutionError(reason: "\(expression) cannot be fetched") }
    if operand.castTarget != nil {
      return FetchArgument(expression: expression, field: field, place: fetch, fetchType: "x64", form: .hexadecimal)
    }
    let (place, type, form) = try presentation(of: operand.type, fetch, expression)
    return FetchArgument(expression: expression, field: field, place: place, fetchType: type, form: form)
  }

  private func presentation(
    of id: TypeID, _ fetch: String, _ expression: String
  ) throws(ResolutionError) -> (place: String, type: String, form: ValueForm) {
    switch resolved(id)?.type {
    case .pointer(let target)?: return pointer(to: target, fetch)
    case .integer(let integer)?:
      guard [1, 2, 4, 8].contains(integer.size) else {
        throw ResolutionError(reason: "\(expression) has \(integer.size) bytes, more than a probe can fetch")
      }
      let form = form(of: id, integer.size)
      return (fetch, Self.fetchType(form, integer.size), form)
    case .enumeration(let enumeration)?:
      return (fetch, "\(enumeration.isSigned ? "s" : "u")\(8 * enumeration.size)", .enumeration(enumeration))
    case .array(let element, let count)?:
      guard case .integer(let integer)? = resolved(element)?.type, (1...64).contains(count) else {
        throw ResolutionError(reason: "\(expression) is an array: name one of its elements, as in \(expression)[0]")
      }
      return (fetch, "\(Self.fetchType(form(of: element, integer.size), integer.size))[\(count)]", .array(count: count))
    case .structure(let structure)?:
      throw ResolutionError(
        reason: "\(expression) is a structure: name one of its members",
        names: memberNames(of: structure, depth: 0))
    default: throw ResolutionError(reason: "\(expression) has no value that can be shown")
    }
  }

  private func pointer(to target: TypeID, _ fetch: String) -> (place: String, type: String, form: ValueForm) {
    switch resolved(target)?.type {
    case .prototype?: return (fetch, "symbol", .function)
    case .integer(let integer)? where integer.name == "char":
      return ("+0(\(fetch))", "string", .string)
    default: return (fetch, "x64", .hexadecimal)
    }
  }

  private static func fetchType(_ form: ValueForm, _ size: Int) -> String {
    switch form {
    case .decimal(isSigned: true): "s\(8 * size)"
    case .decimal(isSigned: false), .boolean: "u\(8 * size)"
    default: "x\(8 * size)"
    }
  }

  /// How numbers of a type are written: the kernel's `u8` to `u64` and `unsigned long` hold bits and addresses, as do
  /// the typedefs of them (`gva_t`, `gfn_t`); `size_t`, `int` and `unsigned int` hold quantities.
  private func form(of id: TypeID, _ size: Int) -> ValueForm {
    if case .enumeration(let enumeration)? = resolved(id)?.type { return .enumeration(enumeration) }
    guard case .integer(let integer)? = resolved(id)?.type else { return .hexadecimal }
    if integer.isBoolean { return .boolean }
    if integer.isSigned { return .decimal(isSigned: true) }
    let name = name(of: id)
    if name == "size_t" || name == "unsigned int" || name == "pid_t" { return .decimal(isSigned: false) }
    return .hexadecimal
  }

  /// tracefs takes names of at most 31 characters (kernel/trace/trace_probe.h: MAX_ARG_NAME_LEN): of a longer path the
  /// beginning is left out.
  private static func fieldName(_ path: [String]) -> String {
    var parts = path[...]
    while parts.count > 1, parts.map(\.utf8.count).reduce(parts.count - 1, +) > longestField { parts.removeFirst() }
    let name = parts.joined(separator: "_").prefix(longestField)
    // An element's index may have come to stand first.
    return name.first?.isNumber == true ? String("_\(name)".prefix(longestField)) : String(name)
  }

  private static let longestField = 31
}
