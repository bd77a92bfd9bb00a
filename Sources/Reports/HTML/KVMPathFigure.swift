import Investigation

/// The way through KVM as a figure: a box for each function, inside the one that called it, with what it was given and what
/// it answered. What nothing recorded has a dashed edge; the last one, where it failed, is marked.
struct KVMPathFigure {
  private let path: [KVMPathStep]

  private static let width = 860
  private static let indent = 22
  private static let lineHeight = 17
  private static let padding = 8
  private static let gap = 8
  /// Of a character of the monospaced font at its size, in pixels.
  private static let characterWidth = 7.3

  init(_ path: [KVMPathStep]) { self.path = path }

  private struct Box {
    var step: KVMPathStep
    var lines: [(words: String, kind: String)]
    var left: Int
    var top: Int

    var height: Int { lines.count * lineHeight + 2 * padding }
  }

  /// The figure as SVG inside HTML.
  var markup: HTMLText {
    let boxes = placed()
    let height = boxes.last.map { $0.top + $0.height + 2 } ?? 0
    var html = HTMLText()
    let frame = [
      ("viewBox", "0 0 \(Self.width) \(height)"), ("role", "img"), ("class", "way"),
      ("aria-label", "The way through KVM: \(path.map(\.function).joined(separator: ", then "))"),
    ]
    html.add("svg", with: frame) { svg in
      for (index, box) in boxes.enumerated() {
        if let caller = boxes[..<index].last(where: { $0.step.depth < box.step.depth }) {
          Self.add(callOf: box, by: caller, to: &svg)
        }
      }
      for (index, box) in boxes.enumerated() { Self.add(box, isLast: index == boxes.count - 1, to: &svg) }
    }
    return html
  }

  private func placed() -> [Box] {
    var boxes: [Box] = []
    for step in path {
      let left = 1 + Self.indent * min(step.depth, 16)
      let columns = Int(Double(Self.width - left - 2 * Self.padding - 2) / Self.characterWidth)
      let title = [step.function, step.role].joined(separator: "  ")
      var lines = wrapped(title, to: columns).map { ($0, "name") }
      lines += step.given.flatMap { wrapped($0, to: columns) }.map { ($0, "given") }
      lines += step.answer.map { wrapped("= \($0)", to: columns) }?.map { ($0, "answer") } ?? []
      lines.append((step.source.citation, "source"))
      let top = boxes.last.map { $0.top + $0.height + Self.gap } ?? 1
      boxes.append(Box(step: step, lines: lines, left: left, top: top))
    }
    return boxes
  }

  private static func add(_ box: Box, isLast: Bool, to svg: inout HTMLText) {
    let isRecorded = if case .trace = box.step.source { true } else { false }
    let kind = isLast ? "box end" : isRecorded ? "box" : "box assumed"
    svg.addEmpty(
      "rect",
      with: [
        ("x", "\(box.left)"), ("y", "\(box.top)"), ("width", "\(width - box.left - 1)"), ("height", "\(box.height)"),
        ("rx", "5"), ("class", kind),
      ])
    for (index, line) in box.lines.enumerated() {
      let baseline = box.top + padding + lineHeight * index + 12
      svg.add(
        "text", with: [("x", "\(box.left + padding)"), ("y", "\(baseline)"), ("class", line.kind)], line.words)
    }
  }

  private static func add(callOf box: Box, by caller: Box, to svg: inout HTMLText) {
    let x = caller.left + indent / 2
    let y = box.top + box.height / 2
    svg.addEmpty("path", with: [("d", "M\(x) \(caller.top + caller.height) V\(y) H\(box.left)"), ("class", "call")])
  }
}
