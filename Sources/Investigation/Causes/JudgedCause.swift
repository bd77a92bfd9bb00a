/// A cause that weighs its own evidence.
protocol JudgedCause {
  /// The pages of the manual; none for a cause that another file explains.
  static var manuals: [ManualPage] { get }

  /// The stable identifier (`paging.reserved-bit`).
  var id: String { get }
  var title: String { get }
  /// One or two sentences: what is wrong, where, and which rule it breaks.
  var summary: String { get }
  var confidence: Confidence { get }
  /// What cures it, the surest first.
  var remedies: [Remedy] { get }
  /// The facts that decide.
  var evidence: [Evidence] { get }
}

extension JudgedCause {
  static var manuals: [ManualPage] { [] }
  var confidence: Confidence { .likely }
  var evidence: [Evidence] { [] }
}

/// A cause with one identifier and a page of its own.
extension JudgedCause where Self: SingleCause {
  static var manuals: [ManualPage] { [ManualPage(id: id, title: title, text: manual, refines: refines)] }
  var id: String { Self.id }
  var title: String { Self.title }
}

extension Verdict {
  /// Takes a cause, with what cures it and what it rests on.
  mutating func take(_ found: any JudgedCause) {
    cause = Cause(id: found.id, title: found.title, summary: found.summary, confidence: found.confidence)
    remedies = found.remedies
    evidence += found.evidence
  }
}
