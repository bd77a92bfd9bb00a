import ArgumentParser
import Investigation
import QEMU
import Reports

/// `inquest explain`: the manual of causes of death.
struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Show the manual page of a cause of death; alone, list them.",
    discussion: """
      inquest explain
      inquest explain paging.reserved-bit
      inquest explain stack
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case markdown
    case json
  }

  @Argument(help: ArgumentHelp("A cause as verdicts name it, or a part of its name.", valueName: "cause"))
  var cause: String?

  @Option(help: "How to show it.")
  var format: Format = .text

  func run() throws {
    let pages = ManualPage.all
    guard let cause else { return show(pages, isList: true) }
    if let page = pages.first(where: { $0.id == cause }) { return show([page], isList: false) }
    let found = pages.filter {
      $0.id.contains(cause.lowercased()) || $0.title.lowercased().contains(cause.lowercased())
    }
    guard let first = found.first else {
      let near = namesNear(cause, in: pages.map(\.id)).map { "; did you mean \($0)?" }.first ?? ";"
      throw Failure("there is no cause \"\(cause)\"\(near) inquest explain lists them")
    }
    show(found.count == 1 ? [first] : found, isList: found.count > 1)
  }

  private func show(_ pages: [ManualPage], isList: Bool) {
    let usesColour = isColourWanted
    switch format {
    case .json: print(ManualPage.json(pages), terminator: "")
    case .markdown: print(pages.map(\.markdown).joined(separator: "\n"), terminator: "")
    case .text:
      let text =
        isList
        ? ManualPage.terminalList(pages, usesColour: usesColour)
        : pages.map { $0.terminalText(usesColour: usesColour) }.joined(separator: "\n")
      print(text, terminator: "")
    }
  }
}
