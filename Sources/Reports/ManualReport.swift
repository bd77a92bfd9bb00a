public import Investigation

extension ManualPage {
  /// The page for a terminal of 80 columns.
  public func terminalText(usesColour: Bool) -> String {
    var page = Page(usesColour: usesColour)
    page.item("", id, as: .strong)
    page.item("", title)
    for block in blocks { block.show(on: &page) }
    return page.text
  }

  /// A list of pages: the names, and what each is about.
  public static func terminalList(_ pages: [ManualPage], usesColour: Bool) -> String {
    var page = Page(usesColour: usesColour)
    let width = (pages.map(\.id.count).max() ?? 0) + 2
    for entry in pages { page.item(padded(entry.id, to: width), entry.title) }
    return page.text
  }

  /// As a JSON document: an object for each page.
  public static func json(_ pages: [ManualPage]) -> String {
    jsonText(pages.map { ["id": $0.id, "title": $0.title, "text": $0.text] })
  }

  /// The text in paragraphs and the like; what Markdown does within a line is dropped.
  private var blocks: [Block] {
    var blocks: [Block] = []
    var isCode = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
      isCode = line.hasPrefix("    ") && (isCode || blocks.last?.isEmpty != false || blocks.last?.isCode == true)
      if isCode {
        blocks.append(.code(line))
      } else if line.hasPrefix("## ") {
        blocks.append(.heading(String(line.dropFirst(3))))
      } else if line.hasPrefix("- ") {
        blocks.append(.point(Self.plain(line.dropFirst(2))))
      } else if line.hasPrefix("|") {
        if !line.hasPrefix("|--") { blocks.append(.point(Self.row(line))) }
      } else if line.isEmpty {
        blocks.append(.empty)
      } else {
        blocks.join(Self.plain(line[...]))
      }
    }
    return blocks
  }

  private static func plain(_ line: Substring) -> String {
    String(line.drop { $0 == " " }).replacing("**", with: "").replacing("`", with: "")
  }

  private static func row(_ line: String) -> String {
    line.split(separator: "|").map { plain($0).trimmingBlanks }.filter { !$0.isEmpty }.joined(separator: "; ")
  }
}

/// A part of a manual page.
private enum Block {
  case heading(String)
  case paragraph(String)
  case point(String)
  case code(String)
  case empty

  var isEmpty: Bool { if case .empty = self { true } else { false } }
  var isCode: Bool { if case .code = self { true } else { false } }

  func show(on page: inout Page) {
    switch self {
    case .heading(let words): page.item("", words, as: .strong)
    case .paragraph(let words): page.item("  ", words)
    case .point(let words): page.item("  - ", words)
    case .code(let words): page.line(words)
    case .empty: page.line("")
    }
  }
}

extension [Block] {
  /// Goes on with the paragraph or the point before, or begins a paragraph.
  fileprivate mutating func join(_ words: String) {
    switch last {
    case .paragraph(let before)?: self[count - 1] = .paragraph(before + " " + words)
    case .point(let before)?: self[count - 1] = .point(before + " " + words)
    default: append(.paragraph(words))
    }
  }
}

extension String {
  fileprivate var trimmingBlanks: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
