/// HTML that is put together from elements; all text in it is escaped.
struct HTMLText {
  private(set) var markup = ""

  /// An element with plain text in it.
  mutating func add(_ element: String, with attributes: [(String, String)] = [], _ text: String) {
    add(element, with: attributes) { $0.add(text) }
  }

  /// An element with what `fill` puts into it.
  mutating func add(
    _ element: String, with attributes: [(String, String)] = [], _ fill: (inout HTMLText) -> Void
  ) {
    markup += "<\(element)\(Self.markup(of: attributes))>"
    fill(&self)
    markup += "</\(element)>"
  }

  /// An element that never has anything in it.
  mutating func addEmpty(_ element: String, with attributes: [(String, String)]) {
    markup += "<\(element)\(Self.markup(of: attributes))/>"
  }

  private static func markup(of attributes: [(String, String)]) -> String {
    attributes.map { " \($0.0)=\"\(escaped(printable($0.1)))\"" }.joined()
  }

  /// The next element begins a line.
  mutating func breakLine() { markup += "\n" }

  /// Plain text.
  mutating func add(_ text: String) { markup += Self.escaped(printable(text)) }

  mutating func add(_ other: HTMLText) { markup += other.markup }

  /// A style sheet, which holds no text of others.
  mutating func add(style: StaticString) { markup += "<style>\(style)</style>\n" }

  /// What begins every document.
  static let start = "<!DOCTYPE html>\n"

  /// A guest's bytes and file names must not become markup.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.append(character)
      }
    }
    return result
  }
}
