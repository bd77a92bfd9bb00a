/// What Inquest knows of one cause of death.
public struct ManualPage: Hashable, Sendable {
  /// The stable identifier (`paging.reserved-bit`).
  public var id: String
  public var title: String
  /// Markdown, without the page's own heading.
  public var text: String

  /// The whole page.
  public var markdown: String { "# \(id)\n\n**\(title).** \(text)\n" }

  /// A page for each cause, in the order of their names.
  public static var all: [ManualPage] { Causes.manual }
}
