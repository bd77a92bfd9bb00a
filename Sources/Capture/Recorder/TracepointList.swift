import SystemPackage
import Traces

/// The tracepoints of this kernel.
public struct TracepointList: Sendable {
  public var tracepoints: [Tracepoint]

  /// Lists those that a selector takes.
  ///
  /// - Throws: What keeps tracefs from being read, or that there is none of these.
  public init(_ selectors: [TracepointSelector]) throws(RecordingRefusal) {
    let tracefs = try Tracefs()
    tracepoints = try tracefs.tracepoints(in: tracefs.systems, chosenBy: selectors)
  }
}

extension Tracepoint {
  /// The names of the fields of its records, but for those that all events have; by these a filter may choose.
  public var fields: [String] {
    guard let layout = try? EventFormat(parsing: format, system: system, machine: .amd64) else { return [] }
    return layout.fields.map(\.name).filter { !$0.hasPrefix("common_") }
  }
}
