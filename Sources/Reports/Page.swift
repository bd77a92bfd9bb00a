/// What a stretch of text is, for colour.
enum Style {
  case plain
  case strong
  case faint
  case alarm
  case calm

  /// The SGR parameters (ECMA-48, 8.3.117).
  fileprivate var parameters: String? {
    switch self {
    case .plain: nil
    case .strong: "1"
    case .faint: "2"
    case .alarm: "1;31"
    case .calm: "1;32"
    }
  }
}

/// Text laid out in 80 columns, with headings, entries and lists.
struct Page {
  private static let width = 80
  private static let entryIndent = 9

  private var lines: [String] = []
  let usesColour: Bool

  init(usesColour: Bool) { self.usesColour = usesColour }

  /// The lines so far, each ending in a newline.
  var text: String { lines.joined(separator: "\n") + (lines.isEmpty ? "" : "\n") }

  /// A title after an empty line.
  mutating func section(_ title: String) {
    line("")
    item("", title, as: .strong)
  }

  /// A label in the left column and its text in the right one; an empty label goes on with the entry before.
  mutating func entry(_ label: String, _ words: String, as style: Style = .plain) {
    item(padded(label, to: Self.entryIndent), words, as: style)
  }

  /// Text after a mark, its further lines indented as far as the mark is wide.
  mutating func item(_ mark: String, _ words: String, as style: Style = .plain) {
    let indent = String(repeating: " ", count: mark.count)
    for (index, line) in wrapped(words, to: Self.width - mark.count).enumerated() {
      self.line((index == 0 ? mark : indent) + styled(line, style))
    }
  }

  /// Text after a mark, with a note in brackets behind it: on its last line if there is room, else on one of its own.
  mutating func item(_ mark: String, _ words: String, note: String) {
    item(mark, words)
    let note = "[\(note)]"
    if let last = lines.last, last.count + 1 + note.count <= Self.width {
      lines[lines.count - 1] = last + " " + styled(note, .faint)
    } else {
      item(String(repeating: " ", count: mark.count), note, as: .faint)
    }
  }

  /// A line that is not wrapped.
  mutating func line(_ words: String) {
    var words = words[...]
    while words.last == " " { words.removeLast() }
    lines.append(String(words))
  }

  private func styled(_ words: String, _ style: Style) -> String {
    guard usesColour, let parameters = style.parameters else { return words }
    return "\u{1B}[\(parameters)m\(words)\u{1B}[0m"
  }
}

/// `words` broken at blanks into lines of at most `width` columns; a longer word stands alone.
func wrapped(_ words: String, to width: Int) -> [String] {
  var lines: [String] = []
  for paragraph in printable(words).split(separator: "\n", omittingEmptySubsequences: false) {
    var line = ""
    for word in paragraph.split(separator: " ", omittingEmptySubsequences: false) {
      if line.isEmpty {
        line = String(word)
      } else if line.count + 1 + word.count <= width {
        line += " " + word
      } else {
        lines.append(line)
        line = String(word)
      }
    }
    lines.append(line)
  }
  return lines
}

/// `words` without control characters: a guest's bytes and file names must not drive the reader's terminal, nor reverse
/// or hide what stands there.
func printable(_ words: String) -> String {
  String(words.map { $0 == "\n" || !$0.unicodeScalars.contains(where: isControl) ? $0 : "?" })
}

private func isControl(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.properties.generalCategory {
  case .control, .format, .lineSeparator, .paragraphSeparator: true
  default: false
  }
}

func padded(_ text: String, to width: Int, onLeft: Bool = false) -> String {
  let blanks = String(repeating: " ", count: max(0, width - text.count))
  return onLeft ? blanks + text : text + blanks
}

/// Nanoseconds as `seconds.microseconds`, the form of trace-cmd and perf.
func seconds(_ nanoseconds: UInt64) -> String {
  let micro = nanoseconds / 1000 % 1_000_000
  return "\(nanoseconds / 1_000_000_000)." + padded("", to: 6 - String(micro).count, with: "0") + String(micro)
}

private func padded(_ text: String, to width: Int, with character: Character) -> String {
  text + String(repeating: character, count: max(0, width - text.count))
}

extension [String?] {
  func joined(separator: String) -> String { compactMap(\.self).joined(separator: separator) }
}
