public import X86

/// The linear addresses that lead to one physical address.
public struct ReverseReport {
  public var physical: PhysicalAddress
  /// The pages, each from the linear address in question on.
  public var found: [MappedRange]

  public init(physical: PhysicalAddress, found: [MappedRange]) {
    self.physical = physical
    self.found = found
  }

  public func text() -> String {
    guard !found.isEmpty else { return "No linear address leads to physical \(physical.rawValue.hexadecimal).\n" }
    return found.map { range in
      "\(range.start.rawValue.hexadecimal)  \(range.letters)\(range.isThroughSelfMap ? "  (through a self-map)" : "")\n"
    }.joined()
  }

  public func json() -> String {
    jsonText(
      ReverseDocument(
        physical: physical.rawValue.hexadecimal,
        linear: found.map {
          .init(address: $0.start.rawValue.hexadecimal, rights: $0.letters, selfMap: $0.isThroughSelfMap)
        }))
  }
}

private struct ReverseDocument: Encodable {
  struct Place: Encodable {
    let address, rights: String
    let selfMap: Bool
  }

  let schema = 1
  let physical: String
  let linear: [Place]
}
