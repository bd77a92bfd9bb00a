public import Investigation
import X86

/// A verdict as a page of HTML that stands alone: no script, nothing fetched from elsewhere.
public struct HTMLReport {
  public init() {}

  /// The document's text, ending in a newline.
  public func text(of verdict: Verdict) -> String {
    var html = HTMLText()
    html.add("html", with: [("lang", "en")]) { html in
      html.add("head") { head in
        head.markupHead(title: verdict.cause?.title ?? verdict.ending)
      }
      html.add("body") { body in
        body.add("main") { Self.add(verdict, to: &$0) }
      }
    }
    return HTMLText.start + html.markup + "\n"
  }

  private static func add(_ verdict: Verdict, to html: inout HTMLText) {
    html.add("p", with: [("class", "ending \(verdict.outcome.rawValue)")], verdict.ending)
    answer(verdict, &html)
    if let fault = verdict.fault { place(fault, level: verdict.level, &html) }
    if let walk = verdict.walk { add(walk, to: &html) }
    list("What happened", verdict.chain, &html)
    if !verdict.path.isEmpty {
      section("The way through KVM", &html) { $0.add(KVMPathFigure(verdict.path).markup) }
    }
    remedies(verdict.remedies, &html)
    trials(verdict.trials, &html)
    for warning in verdict.warnings { add(warning, to: &html) }
    list("Also seen", verdict.observations, &html)
    list("Evidence", verdict.evidence, &html)
    missing(verdict.missing, &html)
  }

  private static func section(_ title: String, _ html: inout HTMLText, _ fill: (inout HTMLText) -> Void) {
    html.breakLine()
    html.add("section") { section in
      section.add("h2", title)
      fill(&section)
    }
  }

  private static func answer(_ verdict: Verdict, _ html: inout HTMLText) {
    guard verdict.outcome == .died || verdict.outcome == .hung || verdict.cause != nil else { return }
    guard let cause = verdict.cause else {
      html.add("h1", "Not explained")
      return
    }
    add(cause, heading: "h1", to: &html)
  }

  private static func add(_ cause: Cause, heading: String, to html: inout HTMLText) {
    html.add(heading, cause.title)
    html.add("p") { line in
      line.add("span", with: [("class", "confidence \(cause.confidence.rawValue)")], cause.confidence.rawValue)
      line.add("code", cause.id)
    }
    html.add("p", cause.summary)
  }

  private static func place(_ fault: Fault, level: Int?, _ html: inout HTMLText) {
    section("Where", &html) { html in
      html.add("dl") { list in
        func entry(_ name: String, _ value: String?) {
          guard let value, !value.isEmpty else { return }
          list.add("dt", name)
          list.add("dd") { $0.add("code", value) }
        }
        entry("fault", fault.description)
        entry("processor", fault.processor.map { "\($0)" })
        entry(
          "instruction", [fault.instructionPointer?.rawValue.hexadecimal, fault.instruction].joined(separator: "  "))
        entry("function", fault.symbol)
        entry("source", fault.source)
        if level == 2 { entry("level", "2: in the guest's own guest") }
      }
    }
  }

  private static func add(_ walk: WalkAccount, to html: inout HTMLText) {
    let root = walk.root.map { " from CR3 \($0.hexadecimal)" } ?? ""
    section("Walk of \(walk.address.rawValue.hexadecimal)\(root)", &html) { html in
      html.add("table") { table in
        table.add("tr") { row in
          for name in ["entry", "at", "value", "bits", "verdict"] { row.add("th", name) }
        }
        for level in walk.levels { add(level, to: &table) }
      }
    }
  }

  private static func add(_ level: WalkAccount.Level, to table: inout HTMLText) {
    let isBad = level.offendingBits != 0 || level.verdict != "ok"
    table.add("tr", with: isBad ? [("class", "bad")] : []) { row in
      row.add("td") { $0.add("code", "\(level.table)[\(level.index)]") }
      row.add("td") { cell in
        cell.add("code", level.entryAddress?.rawValue.hexadecimal ?? "unknown")
        if let address = level.hypervisorAddress {
          cell.add("span", with: [("class", "source")], " = \(address.rawValue.hexadecimal) to its hypervisor")
        }
      }
      row.add("td", with: [("class", "value")]) { $0.add(bits(of: level)) }
      row.add("td") { $0.add("code", level.flags.joined(separator: " ")) }
      row.add("td", level.verdict)
    }
  }

  /// The entry in hexadecimal, the digits that hold an offending bit marked.
  private static func bits(of level: WalkAccount.Level) -> HTMLText {
    var html = HTMLText()
    html.add("code") { code in
      code.add("0x")
      for shift in stride(from: 60, through: 0, by: -4) {
        let digit = String(level.value >> UInt64(shift) & 0xF, radix: 16)
        if level.offendingBits >> UInt64(shift) & 0xF != 0 { code.add("mark", digit) } else { code.add(digit) }
      }
    }
    return html
  }

  private static func list(_ title: String, _ entries: [Evidence], _ html: inout HTMLText) {
    guard !entries.isEmpty else { return }
    section(title, &html) { html in
      html.add("ul") { list in
        for entry in entries {
          list.add("li") { item in
            item.add(entry.text + " ")
            item.add("span", with: [("class", "source")], entry.source.citation)
          }
        }
      }
    }
  }

  private static func remedies(_ remedies: [Remedy], _ html: inout HTMLText) {
    guard !remedies.isEmpty else { return }
    section("Cure", &html) { html in
      html.add("ol") { list in
        for remedy in remedies {
          list.add("li") { item in
            item.add("strong", "\(remedy.kind.words): ")
            if remedy.kind == .commandLine { item.add("code", remedy.change) } else { item.add(remedy.change) }
            item.add("p") { words in
              words.add(remedy.reason + " ")
              words.add("span", with: [("class", "source")], remedy.standing)
            }
          }
        }
      }
    }
  }

  private static func trials(_ trials: [Trial], _ html: inout HTMLText) {
    guard !trials.isEmpty else { return }
    section(TerminalReport.trialsTitle, &html) { html in
      html.add("ul") { list in
        for trial in trials {
          list.add("li") { item in
            item.add("code", trial.changes.joined(separator: " "))
            item.add(": ")
            item.add("strong", trial.result.words)
            item.add("p", trial.account)
            if trial.result == .otherDeath, let cause = trial.cause { add(cause, heading: "h3", to: &item) }
          }
        }
      }
    }
  }

  private static func add(_ warning: Warning, to html: inout HTMLText) {
    section("Warning: this guest would die elsewhere", &html) { html in
      add(warning.cause, heading: "h3", to: &html)
      html.add("p", warning.condition)
      if let walk = warning.walk { add(walk, to: &html) }
      remedies(warning.remedies, &html)
    }
  }

  private static func missing(_ missing: [Missing], _ html: inout HTMLText) {
    guard !missing.isEmpty else { return }
    section("Missing", &html) { html in
      html.add("dl") { list in
        for entry in missing {
          list.add("dt", entry.what)
          list.add("dd", entry.how)
        }
      }
    }
  }
}

extension HTMLText {
  fileprivate mutating func markupHead(title: String) {
    addEmpty("meta", with: [("charset", "utf-8")])
    addEmpty("meta", with: [("name", "viewport"), ("content", "width=device-width, initial-scale=1")])
    add("title", "Inquest: \(title)")
    add(style: HTMLStyle.sheet)
  }
}

private enum HTMLStyle {
  static let sheet: StaticString = """
    :root { color-scheme: light dark; --ink: #1d2329; --faint: #66707a; --line: #ccd2d8; --paper: #fff; --alarm: #b3261e;
      --alarm-paper: #fdeceb; --calm: #1d6b37; }
    @media (prefers-color-scheme: dark) { :root { --ink: #e3e7eb; --faint: #9aa5af; --line: #454d55; --paper: #16191c;
      --alarm: #ff8a80; --alarm-paper: #3a1f1d; --calm: #7fd394; } }
    body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
    h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.25rem 0; }
    h2 { font-size: 1.1rem; margin: 2rem 0 0.5rem; border-bottom: 1px solid var(--line); }
    code { font-family: ui-monospace, monospace; font-size: 0.9em; overflow-wrap: anywhere; }
    .ending { font-weight: 600; } .died, .hung { color: var(--alarm); } .ended { color: var(--calm); }
    .confidence { border: 1px solid currentColor; border-radius: 1em; padding: 0 0.6em; margin-right: 0.6em; }
    .proven { color: var(--calm); } .possible, .source { color: var(--faint); } .source { font-size: 0.85em; }
    table { border-collapse: collapse; display: block; overflow-x: auto; }
    th, td { text-align: left; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
    .value { white-space: nowrap; }
    tr.bad { background: var(--alarm-paper); } mark { background: var(--alarm); color: var(--paper); }
    dt { font-weight: 600; } dd { margin: 0 0 0.5rem 1rem; }
    svg.way { width: 100%; height: auto; font: 12px ui-monospace, monospace; }
    svg .box { fill: var(--paper); stroke: var(--ink); } svg .assumed { stroke: var(--faint); stroke-dasharray: 4 3; }
    svg .end { stroke: var(--alarm); stroke-width: 2; fill: var(--alarm-paper); } svg .call { fill: none; stroke: var(--faint); }
    svg text { fill: var(--ink); white-space: pre; } svg .name { font-weight: 600; } svg text.source { fill: var(--faint); }
    @media print { main { max-width: none; margin: 0; } }
    """
}
