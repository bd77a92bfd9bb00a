public import Investigation
public import X86

/// A page walk as `inquest walk` shows it.
public struct WalkReport {
  /// The walk by the rules in question.
  public var explanation: WalkExplanation
  /// Whose rules they are; nil for those of what is known of the guest.
  public var walker: Walker?
  /// Where the registers came from.
  public var registers: String
  /// What others make of the same walk.
  public var opinions: [WalkerOpinions<PageWalk>.Opinion]

  public init(
    _ explanation: WalkExplanation, by walker: Walker?, registers: String,
    opinions: [WalkerOpinions<PageWalk>.Opinion]
  ) {
    self.explanation = explanation
    self.walker = walker
    self.registers = registers
    self.opinions = opinions
  }

  // MARK: Text

  public func text(usesColour: Bool) -> String {
    var page = Page(usesColour: usesColour)
    let walk = explanation.walk
    page.item("", "\(walk.address.rawValue.hexadecimal), \(walk.access.words)", as: .strong)
    page.item("", "\(walk.paging.mode.name), CR3 \(walk.paging.cr3.hexadecimal)", note: registers)
    page.item("", "walked as \(walker?.words ?? "the guest's own processor, as far as it is known") would")
    if !explanation.levels.isEmpty { page.line("") }
    let place = widths { $0.step.entryAddress.rawValue.hexadecimal }
    let value = widths { $0.step.entry.rawValue.hexadecimal }
    for level in explanation.levels {
      let step = level.step
      page.line(
        "  \(padded("\(step.structure.entryName)[\(step.index)]", to: 11)) at "
          + "\(padded(step.entryAddress.rawValue.hexadecimal, to: place))  "
          + "\(padded(step.entry.rawValue.hexadecimal, to: value, onLeft: true))  "
          + level.flags.joined(separator: " "))
      for check in level.checks { page.item("    \(check.outcome.mark) ", check.words, as: check.outcome.style) }
    }
    if !explanation.protection.isEmpty { page.line("  all levels together") }
    for check in explanation.protection {
      page.item("    \(check.outcome.mark) ", check.words, as: check.outcome.style)
    }
    page.line("")
    page.item("", explanation.outcome, as: walk.judgement.style)
    addOpinions(to: &page)
    return page.text
  }

  private func addOpinions(to page: inout Page) {
    guard !opinions.isEmpty else { return }
    page.section("What others make of it")
    let width = opinions.map { $0.walker.description.count }.max() ?? 0
    for opinion in opinions {
      let words = WalkExplanation(opinion.subject).outcome
      page.item("  \(padded(opinion.walker.description, to: width))  ", words, as: opinion.subject.judgement.style)
    }
  }

  private func widths(_ text: (WalkExplanation.Level) -> String) -> Int {
    explanation.levels.map { text($0).count }.max() ?? 0
  }

  // MARK: JSON

  /// The document's text; addresses are hexadecimal strings, as in a verdict.
  public func json() -> String { jsonText(WalkedDocument(self)) }
}

private struct WalkedDocument: Encodable {
  struct Level: Encodable {
    let entry, entryAddress, value: String
    let index: Int
    let flags: [String]
    let checks: [Check]
  }

  struct Check: Encodable {
    let outcome, words: String

    init(_ check: WalkExplanation.Check) {
      outcome = check.outcome.rawValue
      words = check.words
    }
  }

  struct Outcome: Encodable {
    let judgement, words: String
    @Null var physicalAddress: String?
    @Null var pageSize: UInt64?
    @Null var errorCode: String?

    init(_ walk: PageWalk) {
      judgement = walk.judgement.name
      words = WalkExplanation(walk).outcome
      physicalAddress = walk.outcome.physicalAddress?.rawValue.hexadecimal
      if case .translated(let translation) = walk.outcome { pageSize = translation.pageSize }
      if case .pageFault(let fault) = walk.outcome { errorCode = fault.errorCode.rawValue.hexadecimal }
    }
  }

  struct Opinion: Encodable {
    let walker: String
    let outcome: Outcome
  }

  let schema = 1
  let address, access, mode, cr3, registers: String
  @Null var walker: String?
  let levels: [Level]
  let protection: [Check]
  let outcome: Outcome
  let opinions: [Opinion]

  init(_ report: WalkReport) {
    let walk = report.explanation.walk
    address = walk.address.rawValue.hexadecimal
    access = walk.access.words
    mode = walk.paging.mode.name
    cr3 = walk.paging.cr3.hexadecimal
    registers = report.registers
    levels = report.explanation.levels.map { level in
      Level(
        entry: level.step.structure.entryName, entryAddress: level.step.entryAddress.rawValue.hexadecimal,
        value: level.step.entry.rawValue.hexadecimal, index: level.step.index, flags: level.flags,
        checks: level.checks.map(Check.init))
    }
    protection = report.explanation.protection.map(Check.init)
    outcome = Outcome(walk)
    opinions = report.opinions.map { Opinion(walker: $0.walker.description, outcome: Outcome($0.subject)) }
    walker = report.walker?.description
  }
}

extension WalkExplanation.Check.Outcome {
  fileprivate var mark: String {
    switch self {
    case .passed: "+"
    case .failed: "x"
    case .unknown: "?"
    }
  }

  fileprivate var style: Style {
    switch self {
    case .passed: .plain
    case .failed: .alarm
    case .unknown: .strong
    }
  }
}

extension WalkerJudgement {
  fileprivate var style: Style {
    switch self {
    case .accepted: .calm
    case .refused: .alarm
    case .undecided: .strong
    }
  }

  fileprivate var name: String {
    switch self {
    case .accepted: "accepted"
    case .refused: "refused"
    case .undecided: "undecided"
    }
  }
}
