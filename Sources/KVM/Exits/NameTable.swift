/// Numbers and the names KVM prints for them.
struct NameTable: Sendable {
  let entries: [(value: UInt32, name: String)]
  private let names: [UInt32: String]
  private let values: [String: UInt32]

  init(_ entries: [(UInt32, String)]) {
    self.entries = entries
    names = Dictionary(entries, uniquingKeysWith: { first, _ in first })
    values = Dictionary(entries.map { ($0.1, $0.0) }, uniquingKeysWith: { first, _ in first })
  }

  func name(of value: UInt32) -> String? { names[value] }

  func value(named name: String) -> UInt32? { values[name] }
}
