/// A reserved-bit rule that an entry breaks, or may break.
public struct ReservedBitViolation: Hashable, Sendable {
  /// Whether what is known suffices.
  public enum Certainty: Hashable, Sendable {
    /// The rule is unconditional, or the input that decides it is known.
    case definite
    /// The rule is broken exactly if this is so, which is not known.
    case conditional(ReservedBitCondition)
  }

  public var rule: ReservedBitRule
  /// The bits of the entry that are set and that the rule reserves.
  ///
  /// Where MAXPHYADDR is not known these are all that it could reserve; the highest is the first to become reserved.
  public var bits: UInt64
  public var certainty: Certainty

  public init(rule: ReservedBitRule, bits: UInt64, certainty: Certainty) {
    self.rule = rule
    self.bits = bits
    self.certainty = certainty
  }

  public var isDefinite: Bool { certainty == .definite }
}

/// The reserved-bit rules that one entry breaks or may break, each once, in the order of ``ReservedBitRule``.
///
/// It keeps the entry and two sets of rules and makes the elements when they are asked for, so that a walk allocates
/// nothing.
public struct ReservedBitViolations: Hashable, Sendable {
  public let entry: PageTableEntry
  public let structure: PagingStructure
  public let format: TableFormat
  /// The rules that are broken for certain, and those that may be: one bit for each, by its raw value.
  private var definite: UInt16 = 0
  private var conditional: UInt16 = 0
  /// From where on address bits are or may be reserved; the widest where the entry keeps those rules.
  private var widths = AddressWidths(physical: 52, fourMiBPage: 40)

  init(of entry: PageTableEntry, at structure: PagingStructure, in format: TableFormat, under rules: PagingRules) {
    self.entry = entry
    self.structure = structure
    self.format = format
    guard entry.isPresent else { return }
    for rule in ReservedBitRule.allCases {
      switch rule.verdict(on: entry, at: structure, in: format, under: rules) {
      case .kept: continue
      case .broken: definite |= 1 << UInt16(rule.rawValue)
      case .brokenIf: conditional |= 1 << UInt16(rule.rawValue)
      }
      if rule == .addressAboveMAXPHYADDR { widths.physical = rules.leastWidths.physical }
      if rule == .fourMiBPageAddress { widths.fourMiBPage = rules.leastWidths.fourMiBPage }
    }
  }

  /// Whether a walk fails at this entry whatever the unknown inputs are.
  public var areDefinite: Bool { definite != 0 }

  /// The set bits that are reserved for certain.
  public var definiteBits: UInt64 { reduce(0) { $1.isDefinite ? $0 | $1.bits : $0 } }

  /// The violation of `rule`, if it is broken or may be.
  public subscript(rule: ReservedBitRule) -> ReservedBitViolation? {
    let mask: UInt16 = 1 << UInt16(rule.rawValue)
    guard (definite | conditional) & mask != 0 else { return nil }
    let bits = entry.rawValue & rule.reservedBits(of: entry, at: structure, in: format, widths: widths)
    guard conditional & mask != 0, let condition = rule.condition(onBits: bits) else {
      return ReservedBitViolation(rule: rule, bits: bits, certainty: .definite)
    }
    return ReservedBitViolation(rule: rule, bits: bits, certainty: .conditional(condition))
  }
}

extension ReservedBitViolations: Sequence {
  /// Yields the violations.
  public struct Iterator: IteratorProtocol, Sendable {
    private let violations: ReservedBitViolations
    private var nextRule: UInt8 = 0

    init(_ violations: ReservedBitViolations) { self.violations = violations }

    public mutating func next() -> ReservedBitViolation? {
      while let rule = ReservedBitRule(rawValue: nextRule) {
        nextRule += 1
        if let violation = violations[rule] { return violation }
      }
      return nil
    }
  }

  public func makeIterator() -> Iterator { Iterator(self) }

  public var underestimatedCount: Int { count }

  public var count: Int { (definite | conditional).nonzeroBitCount }

  public var isEmpty: Bool { definite | conditional == 0 }
}

/// Why a walker that reported a reserved bit in an entry did so.
public enum ReservedBitExplanation: Hashable, Sendable {
  /// What is known breaks a rule; these are all that are, or may be, broken.
  case known(ReservedBitViolations)
  /// One rule alone can be the reason, so that the unknown input which decides it is known now.
  case inferred(ReservedBitViolation, because: ReservedBitCondition)
  /// More than one unknown input can be the reason.
  case ambiguous(ReservedBitViolations)
  /// No rule reserves a bit that is set: the report, the entry or an input is not what it was taken for.
  case none
}

extension ReservedBitViolations {
  /// What these violations say of a reserved bit that a walker *reported* in this entry.
  ///
  /// It rests on the report as much as on the rules: it is no prediction.
  public var explanation: ReservedBitExplanation {
    if areDefinite { return .known(self) }
    guard let first = first(where: { _ in true }) else { return .none }
    guard count == 1, case .conditional(let condition) = first.certainty else { return .ambiguous(self) }
    return .inferred(first, because: condition)
  }
}
