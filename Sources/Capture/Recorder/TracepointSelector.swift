import Traces

/// Which tracepoints to record, and which of their records: `kvm:kvm_exit`, `kvm:*`, `kvm_emulate_insn if failed==1`.
public struct TracepointSelector: Hashable, Sendable, CustomStringConvertible {
  /// A pattern for the tracepoint's system; nil takes every system that is looked through.
  public var system: String?
  /// A pattern for its name.
  public var name: String
  /// The kernel's filter expression on its fields (Documentation/trace/events.rst); nil takes every record.
  public var filter: String?

  public init(system: String?, name: String, filter: String? = nil) {
    self.system = system
    self.name = name
    self.filter = filter
  }

  /// Reads `[SYSTEM:]NAME [if FILTER]`; nil where the name or the filter is empty.
  public init?(_ text: String) {
    let parts = text.split(separator: " if ", maxSplits: 1, omittingEmptySubsequences: false).map(Self.trimmed)
    let path = parts[0].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard !path.contains(""), let name = path.last, !name.contains(" "), parts.last != "" else { return nil }
    system = path.count == 2 ? path[0] : nil
    self.name = name
    filter = parts.count == 2 ? parts[1] : nil
  }

  private static func trimmed(_ text: Substring) -> String {
    String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }

  /// Whether it takes a tracepoint.
  public func takes(_ name: String, of system: String) -> Bool {
    Glob.matches(name, self.name) && self.system.map { Glob.matches(system, $0) } ?? true
  }

  public var description: String {
    [system, name].compactMap(\.self).joined(separator: ":") + (filter.map { " if \($0)" } ?? "")
  }
}
