public import Investigation
import X86

/// A verdict as a person reads it: from the answer to the evidence, 80 columns wide.
///
/// Colour repeats what the words already say, so the report reads the same without it.
public struct TerminalReport {
  var page: Page

  public init(usesColour: Bool) {
    page = Page(usesColour: usesColour)
  }

  /// The report's text, ending in a newline.
  public func text(of verdict: Verdict) -> String {
    var report = self
    report.answer(verdict)
    report.place(verdict.fault, level: verdict.level)
    if let walk = verdict.walk { report.walk(walk) }
    report.list("What happened", verdict.chain)
    report.path(verdict.path)
    report.remedies(verdict.remedies)
    report.trials(verdict.trials)
    for warning in verdict.warnings { report.warning(warning) }
    report.list("Also seen", verdict.observations)
    report.list("Evidence", verdict.evidence)
    report.missing(verdict.missing)
    return report.page.text
  }

  private mutating func answer(_ verdict: Verdict) {
    page.item("", verdict.ending, as: verdict.outcome.style)
    guard verdict.outcome == .died || verdict.outcome == .hung || verdict.cause != nil else { return }
    page.line("")
    if let cause = verdict.cause {
      page.entry("cause", "\(cause.title) [\(cause.confidence.rawValue)]", as: .strong)
      page.entry("", cause.id, as: .faint)
      page.entry("", cause.summary)
    } else {
      page.entry("cause", "not explained", as: .strong)
    }
  }

  private mutating func place(_ fault: Fault?, level: Int?) {
    guard let fault else { return }
    if let pointer = fault.instructionPointer {
      let whose = fault.processor.map { "processor \($0), at " } ?? ""
      page.entry("where", [whose + pointer.rawValue.hexadecimal, fault.instruction].joined(separator: "  "))
      let place = [fault.symbol, fault.source].joined(separator: "  ")
      if !place.isEmpty { page.entry("", place) }
    }
    page.entry("fault", fault.description)
    if level == 2 { page.entry("level", "2: in the guest's own guest") }
  }

  private mutating func walk(_ walk: WalkAccount) {
    let root = walk.root.map { " from CR3 \($0.hexadecimal)" } ?? ""
    page.section("Walk of \(walk.address.rawValue.hexadecimal)\(root)")
    let placeWidth = walk.levels.map { ($0.entryAddress?.rawValue.hexadecimal.utf8.count ?? 7) + 3 }.max() ?? 0
    let width = walk.levels.map { $0.value.hexadecimal.utf8.count }.max() ?? 0
    for level in walk.levels {
      let place = level.entryAddress.map { "at \($0.rawValue.hexadecimal)" } ?? "at unknown"
      let value = padded(level.value.hexadecimal, to: width, onLeft: true)
      let entry = "\(level.table)[\(level.index)]"
      page.line(
        "  \(padded(entry, to: 10))  \(padded(place, to: placeWidth)) \(value)  \(level.flags.joined(separator: " "))")
      if let address = level.hypervisorAddress {
        page.item("    = ", "\(address.rawValue.hexadecimal) to its hypervisor", as: .faint)
      }
      guard level.offendingBits != 0 || level.verdict != "ok" else { continue }
      page.item("    ^ ", level.verdict, as: .alarm)
    }
  }

  private mutating func path(_ path: [KVMPathStep]) {
    guard !path.isEmpty else { return }
    page.section("The way through KVM")
    var citation = ""
    for step in path {
      let indent = String(repeating: " ", count: 2 * min(step.depth, 12))
      let role = step.role.map { "  \($0)" } ?? ""
      // Neighbours that nothing recorded have one source.
      if step.source.citation == citation {
        page.item("  \(indent)", "\(step.function)\(role)")
      } else {
        page.item("  \(indent)", "\(step.function)\(role)", note: step.source.citation)
      }
      citation = step.source.citation
      for given in step.given { page.item("  \(indent)    ", given, as: .faint) }
      if let answer = step.answer { page.item("  \(indent)  = ", answer) }
    }
  }

  private mutating func remedies(_ remedies: [Remedy]) {
    guard !remedies.isEmpty else { return }
    page.section("Cure")
    for (index, remedy) in remedies.enumerated() {
      page.item("  \(index + 1). ", "\(remedy.kind.words): \(remedy.change)", as: .strong)
      page.item("     ", remedy.reason, note: remedy.standing)
    }
  }

  private mutating func warning(_ warning: Warning) {
    page.section("Warning: this guest would die elsewhere")
    page.entry("cause", "\(warning.cause.title) [\(warning.cause.confidence.rawValue)]", as: .strong)
    page.entry("", warning.cause.id, as: .faint)
    page.entry("", warning.cause.summary)
    page.entry("where", warning.condition)
    if let walk = warning.walk { self.walk(walk) }
    remedies(warning.remedies)
  }

  private mutating func list(_ title: String, _ entries: [Evidence]) {
    guard !entries.isEmpty else { return }
    page.section(title)
    for entry in entries { page.item("  - ", entry.text, note: entry.source.citation) }
  }

  private mutating func missing(_ missing: [Missing]) {
    guard !missing.isEmpty else { return }
    page.section("Missing")
    for entry in missing {
      page.item("  - ", "\(entry.what):")
      page.item("    ", entry.how, as: .faint)
    }
  }
}

extension Outcome {
  fileprivate var style: Style {
    switch self {
    case .died, .hung: .alarm
    case .ended: .calm
    case .undetermined: .strong
    }
  }
}
