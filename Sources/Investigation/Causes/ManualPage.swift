/// What Inquest knows of one cause of death.
public struct ManualPage: Hashable, Sendable {
  /// The stable identifier (`paging.reserved-bit`).
  public var id: String
  public var title: String
  /// Markdown, without the page's own heading.
  public var text: String
  /// The identifiers of the causes of which this is a special case: what they say is true of it too, and they are named where the evidence, a log
  /// alone perhaps, tells no more. The text says so.
  public var refines: [String]

  init(id: String, title: String, text: String, refines: [String] = []) {
    (self.id, self.title, self.refines) = (id, title, refines)
    self.text = text
    guard !refines.isEmpty else { return }
    let names = refines.map { "`\($0)`" }.joined(separator: " and of ")
    self.text +=
      "\n\n## Where the evidence tells less\n\nA special case of \(names),\nwhich is what Inquest names where a log alone does not show more."
  }

  /// The whole page.
  public var markdown: String { "# \(id)\n\n**\(title).** \(text)\n" }

  /// A page for each cause, in the order of their names.
  public static var all: [ManualPage] { Causes.manual }
}
