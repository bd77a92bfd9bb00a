import Traces

/// A form of a tracepoint's text, as a template:
///
/// - `{name}` a decimal number, `{name:x}` a hexadecimal one with or without `0x`;
/// - `{name=read:0|write:1}` one of these words, the first that fits, standing for a number;
/// - `{name?[reinjected]}` whether this comes next, with or without blanks before it;
/// - `{name^}` the names of a #PF error code, as `P|RSVD`;
/// - `{*}` anything up to what follows;
/// - a blank: blanks, or none; anything else: itself.
struct TextPattern: Sendable {
  fileprivate enum Step: Sendable {
    case literal(String)
    case blanks
    case decimal(Int)
    case hexadecimal(Int)
    case choice(Int, [(word: String, value: UInt64)])
    case flag(Int, String)
    case errorCodeNames(Int)
    case anything
  }

  private let steps: [Step]

  /// - Parameter fields: the names that the template uses, as `KVMTracepoint` numbers them. A template that is no
  ///   template matches nothing.
  init(_ template: String, fields: [String]) {
    var steps: [Step] = []
    var rest = Substring(template)
    while let first = rest.first {
      if first == "{", let end = rest.firstIndex(of: "}") {
        steps.append(Self.step(rest[rest.index(after: rest.startIndex)..<end], fields))
        rest = rest[rest.index(after: end)...]
      } else if first == " " {
        steps.append(.blanks)
        rest = rest.drop { $0 == " " }
      } else {
        let literal = rest.prefix { $0 != " " && $0 != "{" }
        steps.append(.literal(String(literal)))
        rest = rest[literal.endIndex...]
      }
    }
    self.steps = steps
  }

  private static func step(_ body: Substring, _ fields: [String]) -> Step {
    if body == "*" { return .anything }
    let nameEnd = body.firstIndex { $0 == ":" || $0 == "=" || $0 == "?" || $0 == "^" } ?? body.endIndex
    let name = body[..<nameEnd]
    let field = fields.firstIndex { $0.split(separator: "|").contains(name) } ?? KVMFieldValues.capacity
    guard nameEnd < body.endIndex else { return .decimal(field) }
    let argument = body[body.index(after: nameEnd)...]
    switch body[nameEnd] {
    case "=":
      return .choice(
        field,
        argument.split(separator: "|").compactMap { choice in
          guard let colon = choice.lastIndex(of: ":") else { return nil }
          let number = choice[choice.index(after: colon)...]
          let value = number.hasPrefix("0x") ? UInt64(number.dropFirst(2), radix: 16) : UInt64(number)
          return value.map { (String(choice[..<colon]), $0) }
        })
    case "?": return .flag(field, String(argument))
    case "^": return .errorCodeNames(field)
    default: return .hexadecimal(field)
    }
  }

  /// What a match found, and whether text is left behind it.
  struct Match {
    var values: KVMFieldValues
    var isWhole: Bool
  }

  /// The values that the text has in this form; nil if it has another.
  func match(_ text: Span<UInt8>) -> Match? {
    var values = KVMFieldValues()
    var cursor = TextCursor(text)
    for (index, step) in steps.enumerated() {
      switch step {
      case .literal(let literal):
        guard cursor.skip(literal) else { return nil }
      case .blanks:
        cursor.skipBlanks()
      case .decimal(let field):
        guard let value = cursor.takeNumber() else { return nil }
        values[field] = value
      case .hexadecimal(let field):
        guard let value = cursor.takeHexadecimal() else { return nil }
        values[field] = value
      case .choice(let field, let choices):
        guard let choice = choices.first(where: { cursor.isNext($0.word) }) else { return nil }
        _ = cursor.skip(choice.word)
        values[field] = choice.value
      case .flag(let field, let literal):
        let start = cursor.offset
        cursor.skipBlanks()
        let isSet = cursor.skip(literal)
        if !isSet { cursor.move(to: start) }
        values[field] = isSet ? 1 : 0
      case .errorCodeNames(let field):
        guard let value = cursor.takeErrorCodeNames() else { return nil }
        values[field] = value
      case .anything:
        guard cursor.skipAnything(before: index + 1 < steps.count ? steps[index + 1] : nil) else { return nil }
      }
    }
    // A number or word must end where its template says so.
    guard cursor.next.map({ !$0.isIdentifierByte }) ?? true else { return nil }
    cursor.skipBlanks()
    return Match(values: values, isWhole: cursor.isAtEnd)
  }
}

extension TextCursor {
  /// A decimal number as the field's 64 bits: two's complement if it has a minus sign.
  @_lifetime(self: copy self)
  fileprivate mutating func takeNumber() -> UInt64? {
    next == UInt8(ascii: "-") ? takeSignedDecimal().map { UInt64(bitPattern: $0) } : takeDecimal()
  }

  fileprivate func isNext(_ literal: String) -> Bool { text.hasPrefix(literal, at: offset) }

  @_lifetime(self: copy self)
  fileprivate mutating func skipAnything(before step: TextPattern.Step?) -> Bool {
    switch step {
    case .literal(let literal):
      guard let end = text.firstIndex(of: literal, from: offset) else { return false }
      move(to: end)
      return true
    case .blanks: return !takeWord().isEmpty
    default: return skip(upTo: UInt8(ascii: "|")) || skip(upTo: UInt8(ascii: ")"))
    }
  }

  /// `P|W|0x20`; no name at all is 0.
  @_lifetime(self: copy self)
  fileprivate mutating func takeErrorCodeNames() -> UInt64? {
    var value: UInt64 = 0
    let word = takeWord()
    var names = TextCursor(word)
    while !names.isAtEnd {
      if names.isNext("0x") {
        guard let number = names.takeHexadecimal() else { return nil }
        value |= number
      } else {
        let name = names.takeIdentifier()
        guard let bit = Self.errorCodeBit(name) else { return nil }
        value |= 1 << bit
      }
      guard names.isAtEnd || names.skip(UInt8(ascii: "|")) else { return nil }
    }
    return value
  }

  /// kvm_mmu_trace_pferr_flags of mmutrace.h, Linux 6.19; 6.12 and older print PK as 0x20.
  private static func errorCodeBit(_ name: Span<UInt8>) -> UInt64? {
    if name.equals("P") { return 0 }
    if name.equals("W") { return 1 }
    if name.equals("U") { return 2 }
    if name.equals("RSVD") { return 3 }
    if name.equals("F") { return 4 }
    if name.equals("PK") { return 5 }
    if name.equals("SS") { return 6 }
    if name.equals("SGX") { return 15 }
    return nil
  }
}
