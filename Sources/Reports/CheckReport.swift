public import Investigation
import X86

/// What a check of a living guest found, at one moment or several.
public struct CheckReport {
  /// A look at the guest.
  public struct Look {
    /// When it was (`paging just enabled`, `at the end`), or what was looked at.
    public var moment: String
    public var checkup: Checkup

    public init(moment: String, checkup: Checkup) {
      self.moment = moment
      self.checkup = checkup
    }
  }

  /// A fault, with the moments at which it was there.
  struct Found {
    var fault: LatentFault
    var moments: [String]

    /// One that the guest has mended by the last moment threatens it no more: many begin without an IDT.
    func asOfTheEnd(_ last: String?) -> Found {
      guard fault.severity == .fatal, moments.last != last else { return self }
      var mended = self
      mended.fault.severity = .note
      return mended
    }
  }

  public let looks: [Look]
  /// What becomes of the guest by itself, in a sentence; nil for one in a file.
  public let ending: String?
  let found: [Found]

  public init(_ looks: [Look], ending: String?) {
    self.looks = looks
    self.ending = ending
    var found: [Found] = []
    for look in looks {
      for fault in look.checkup.faults {
        if let index = found.firstIndex(where: { $0.fault.isAlike(fault) }) {
          if found[index].moments.last != look.moment { found[index].moments.append(look.moment) }
        } else {
          found.append(Found(fault: fault, moments: [look.moment]))
        }
      }
    }
    self.found = found.map { $0.asOfTheEnd(looks.last?.moment) }.sorted { $0.fault.severity < $1.fault.severity }
  }

  /// Whether there is anything but notes.
  public var hasFaults: Bool { found.contains { $0.fault.severity != .note } }

  // MARK: Text

  public func text(usesColour: Bool) -> String {
    var page = Page(usesColour: usesColour)
    page.item("", headline, as: hasFaults ? .alarm : .calm)
    if let ending { page.item("", ending) }
    page.item("", "Looked at: \(looks.map(\.moment).joined(separator: ", ")).", as: .faint)
    for severity in LatentFault.Severity.allCases {
      let these = found.filter { $0.fault.severity == severity }
      guard !these.isEmpty else { continue }
      page.section(severity.title)
      for each in these { add(each, to: &page) }
    }
    let unjudged = unjudged
    if !unjudged.isEmpty { page.section("Not judged") }
    for words in unjudged { page.item("  - ", words) }
    return page.text
  }

  private var headline: String {
    let fatal = found.count { $0.fault.severity == .fatal }
    let warnings = found.count { $0.fault.severity == .warning }
    if looks.isEmpty { return "The guest could not be looked at." }
    if fatal + warnings == 0 { return "Nothing was found that would kill this guest elsewhere." }
    return [
      fatal == 0
        ? nil : "\(fatal) \(fatal == 1 ? "thing is" : "things are") fatal to this guest as soon as brought on.",
      warnings == 0 ? nil : "\(warnings) \(warnings == 1 ? "thing" : "things") would kill it elsewhere, or later.",
    ].compactMap(\.self).joined(separator: " ")
  }

  private var unjudged: [String] {
    var seen: Set<String> = []
    return looks.flatMap(\.checkup.unjudged).filter { seen.insert($0).inserted }
  }

  private func add(_ found: Found, to page: inout Page) {
    let fault = found.fault
    page.item("  - ", fault.words, note: fault.source.description)
    page.item("    ", fault.id, as: .faint)
    if !fault.refusing.isEmpty { page.item("    ", "refused by: \(names(fault.refusing))") }
    if !fault.accepting.isEmpty { page.item("    ", "accepted by: \(names(fault.accepting))") }
    page.item("    ", "cure: \(fault.remedy)")
    if looks.count > 1, found.moments.count < looks.count {
      page.item("    ", "seen: \(found.moments.joined(separator: ", "))", as: .faint)
    }
  }

  private func names(_ walkers: [Walker]) -> String { walkers.map(\.description).joined(separator: ", ") }

  // MARK: JSON

  public func json() -> String { jsonText(CheckDocument(self, unjudged: unjudged)) }
}

extension LatentFault {
  /// Whether both say the same, though at another moment: the words hold addresses, which may move.
  fileprivate func isAlike(_ other: LatentFault) -> Bool {
    id == other.id && severity == other.severity && words == other.words
  }
}

extension LatentFault.Severity {
  fileprivate var title: String {
    switch self {
    case .fatal: "Fatal as soon as brought on"
    case .warning: "Would kill it elsewhere, or later"
    case .note: "Worth knowing"
    }
  }
}

private struct CheckDocument: Encodable {
  struct Fault: Encodable {
    let cause, severity, summary, remedy, source: String
    let refusedBy, acceptedBy, moments: [String]

    init(_ found: CheckReport.Found) {
      cause = found.fault.id
      severity = found.fault.severity.rawValue
      summary = found.fault.words
      remedy = found.fault.remedy
      source = found.fault.source.description
      refusedBy = found.fault.refusing.map(\.description)
      acceptedBy = found.fault.accepting.map(\.description)
      moments = found.moments
    }
  }

  let schema = 1
  let looks: [String]
  let faults: [Fault]
  let unjudged: [String]
  @Null var ending: String?

  init(_ report: CheckReport, unjudged: [String]) {
    looks = report.looks.map(\.moment)
    faults = report.found.map(Fault.init)
    self.unjudged = unjudged
    ending = report.ending
  }
}
