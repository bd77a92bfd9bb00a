public import Investigation
import X86

/// How two address spaces differ, a line a change.
public struct MapDifferenceReport {
  public init() {}

  public func text(of difference: AddressSpaceDifference) -> String {
    guard !difference.changes.isEmpty else { return "The two address spaces map the same.\n" }
    return difference.changes.map(line).joined()
  }

  public func json(of difference: AddressSpaceDifference) -> String {
    jsonText(DifferenceDocument(changes: difference.changes.map(ChangeDocument.init)))
  }

  private func line(_ change: AddressSpaceDifference.Change) -> String {
    let place = "\(change.start.rawValue.hexadecimal)  \(sizeInWords(change.size))"
    return switch (change.before, change.after) {
    case (nil, let after?): "+ \(place)  \(description(after))\n"
    case (let before?, nil): "- \(place)  \(description(before))\n"
    case (let before?, let after?): "! \(place)  \(description(before))  ->  \(description(after))\n"
    case (nil, nil): ""
    }
  }

  private func description(_ range: MappedRange) -> String {
    "\(range.letters) \(PageAttributeTable.reset.memoryType(at: range.attributes.patIndex)) "
      + "\(sizeInWords(range.pageSize)) pages at \(range.physicalStart.rawValue.hexadecimal)"
  }
}

private struct ChangeDocument: Encodable {
  let start: String
  let size: UInt64
  @Null var before: RangeDocument?
  @Null var after: RangeDocument?

  init(_ change: AddressSpaceDifference.Change) {
    start = change.start.rawValue.hexadecimal
    size = change.size
    before = change.before.map { RangeDocument($0, .reset) }
    after = change.after.map { RangeDocument($0, .reset) }
  }
}

private struct DifferenceDocument: Encodable {
  let schema = 1
  let changes: [ChangeDocument]
}
