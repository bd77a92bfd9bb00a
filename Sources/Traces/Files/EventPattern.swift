import Files

/// Which events are looked for: those of one tracepoint in which a field has one of some values.
public struct EventPattern: Sendable {
  private let event: Int
  private let type: UInt16
  private let field: FieldLocation
  private let values: Set<UInt64>
  private let byteOrder: ByteOrder

  /// Nil for a trace that does not describe such an event.
  ///
  /// - Parameter event: `system:name`.
  public init?(_ event: String, where field: String, isOneOf values: Set<UInt64>, in context: TraceContext) {
    guard let index = context.events.index(of: event), let type = context.events[index].id,
      Int(context.events.index(ofType: type)) == index,
      case .success(let format) = context.events.format(at: index), let location = format.location(of: field)
    else { return nil }
    self.event = index
    self.type = type
    self.field = location
    self.values = values
    byteOrder = context.machine.byteOrder
  }

  func matches(_ event: borrowing TraceEvent) -> Bool {
    event.event == self.event && hasValue(event.payload)
  }

  /// Whether a tracepoint's record is of such an event.
  @inline(__always)
  func matches(_ record: RawSpan) -> Bool {
    record.byteCount >= 2 && record.load(UInt16.self, at: 0, byteOrder) == type && hasValue(record)
  }

  private func hasValue(_ record: RawSpan) -> Bool {
    field.integer(in: record).map(values.contains) ?? false
  }
}
