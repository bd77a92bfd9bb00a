public import Traces

/// Decodes the records of one tracepoint, whose fields it looks up by name once.
///
/// Any layout will do: a field that this kernel does not record is nil in the event, or makes it undecodable if the
/// event means nothing without it.
public final class KVMDecoder: Sendable {
  public let format: EventFormat
  private let tracepoint: KVMTracepoint?
  /// For each of the tracepoint's fields, where it is.
  private let locations: [FieldLocation?]
  /// The field that is no integer.
  private let bytesField: EventField?
  /// For an event without a case of its own.
  private let printFormat: PrintFormat?
  /// For an event of a probe on one of KVM's functions.
  private let functionCall: FunctionCallDecoder?

  /// Nil for an event that is not of kvm or kvmmmu, nor of a probe of `inquest probe`.
  ///
  /// - Parameter symbols: The kernel's, for the addresses that a probe fetched.
  public init?(format: EventFormat, symbols: KernelSymbols = .none) {
    functionCall = FunctionCallDecoder(format, symbols: symbols)
    guard format.system == "kvm" || format.system == "kvmmmu" || functionCall != nil else { return nil }
    self.format = format
    tracepoint = KVMTracepoint.named(format.name)
    let fields = (tracepoint?.fields ?? []).map { names in
      names.split(separator: "|").lazy.compactMap { format.field(String($0)) }.first
    }
    locations = fields.map { $0?.kind == .scalar ? $0?.location : nil }
    bytesField = fields.lazy.compactMap { $0 }.first { $0.kind != .scalar }
    printFormat = tracepoint == nil ? try? PrintFormat(format) : nil
  }

  /// Whether the event has a case of its own in `KVMEvent`; others come out as `other`.
  public var isTyped: Bool { tracepoint != nil }

  /// Decodes a record, from its first common field on.
  public func decode(_ record: RawSpan) -> KVMEvent {
    if let functionCall { return .functionCall(functionCall.decode(record)) }
    guard let tracepoint else { return .other(name: format.name, text: text(of: record)) }
    var values = KVMFieldValues()
    for index in locations.indices {
      guard let location = locations[index] else { continue }
      guard let value = location.integer(in: record) else {
        return .undecodable(
          name: format.name,
          reason: "the record has \(record.byteCount) bytes and ends before its field \(tracepoint.fields[index])")
      }
      values[index] = value
    }
    if let bytesField {
      guard let bytes = bytesField.bytes(in: record) else {
        return .undecodable(
          name: format.name,
          reason: "the record has \(record.byteCount) bytes and ends before its field \(bytesField.name)")
      }
      values.bytes = Array(bytes.text.indices.map { bytes.text[$0] })
    }
    return tracepoint.decode(values)
  }

  /// The event as its kernel prints it, or the fields with their values if its print format cannot be evaluated.
  private func text(of record: RawSpan) -> String {
    var buffer = TextBuffer(capacity: 256)
    if let printFormat, printFormat.render(record, into: &buffer) { return buffer.string }
    buffer.removeAll()
    format.printFields(of: record, into: &buffer)
    return buffer.string
  }
}
