import FoundationEssentials
import X86

/// One of the answers of `inquest cpu`, on a terminal and as JSON.
public protocol CPUReport {
  /// The document's text, ending in a newline. Every document has the key `schema`.
  var json: String { get }

  func write(to page: inout CPUPage)
}

extension CPUReport {
  public func text(usesColour: Bool) -> String {
    var page = CPUPage(usesColour: usesColour)
    write(to: &page)
    return page.text
  }
}

/// The version of the form of `inquest cpu --format json`, raised when a key is renamed or changes its meaning.
let cpuSchema = 1

/// The page that the reports write to: headings, entries, and features with what they are for.
public struct CPUPage {
  private var page: Page

  init(usesColour: Bool) { page = Page(usesColour: usesColour) }

  var text: String { page.text }

  mutating func title(_ words: String) { page.item("", words, as: .strong) }

  mutating func warning(_ words: String) { page.item("", words, as: .alarm) }

  mutating func section(_ title: String) { page.section(title) }

  mutating func entry(_ label: String, _ words: String) { page.entry(label, words) }

  mutating func item(_ words: String) { page.item("  ", words) }

  mutating func item(_ label: String, _ words: String, width: Int) {
    page.item("  " + padded(label, to: width) + " ", words)
  }

  /// A feature, what it is for, and a note such as who decided it.
  mutating func feature(_ feature: ProcessorFeature, note: String = "") {
    let mark = "  " + padded(feature.name, to: 18) + " "
    if note.isEmpty { page.item(mark, feature.purpose) } else { page.item(mark, feature.purpose, note: note) }
  }

  mutating func line(_ words: String) { page.line(words) }
}

/// A feature as JSON has it.
struct FeatureDocument: Encodable {
  let name: String
  @Null var qemu: String?
  @Null var linux: String?
  let manual, bit, purpose: String
  let enables: [String]
  let pageTables: String

  init(_ feature: ProcessorFeature) {
    name = feature.name
    qemu = feature.qemuName
    linux = feature.linuxName
    manual = feature.manualName
    bit = feature.bit.description
    purpose = feature.purpose
    enables = feature.enables.bits.map(\.words)
    pageTables = feature.pageTables
  }
}

extension EnableBit {
  /// The bit and what it must be: `CR4.OSFXSR=1`.
  var words: String { "\(name)=\(isSet ? 1 : 0)" }
}

/// `a`, `a and b`, `a, b and c`.
func listed(_ words: [String]) -> String {
  guard let last = words.last, words.count > 1 else { return words.first ?? "" }
  return words.dropLast().joined(separator: ", ") + " and " + last
}

/// The names of features, in the order of the table; a name of two bits once.
func names(_ features: FeatureSet) -> [String] {
  var names: [String] = []
  for name in features.features.map(\.name) where !names.contains(name) { names.append(name) }
  return names
}
