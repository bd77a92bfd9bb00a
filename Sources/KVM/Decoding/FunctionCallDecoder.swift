import KernelTypes
import Traces
import X86

/// Decodes the records of a probe on a function.
///
/// The kernel's own format tells how a probe wants its values shown: `addr=0x%Lx`, `ret=%d`, `gva_to_gpa=%pS`
/// (kernel/trace/trace_probe.c, 6.1).
struct FunctionCallDecoder: Sendable {
  /// The group that `inquest probe` makes its probes in, without the number of its process.
  private static let groupPrefix = "inquest_"

  private enum Form {
    case hexadecimal
    case decimal
    case symbol
  }

  private let function: String
  private let isReturn: Bool
  private let fields: [(field: EventField, form: Form)]
  private let symbols: KernelSymbols

  /// Nil for an event that is no probe's.
  init?(_ format: EventFormat, symbols: KernelSymbols) {
    guard format.system.hasPrefix(Self.groupPrefix) else { return nil }
    (function, isReturn) = FunctionProbe.function(ofEvent: format.name)
    let forms = Self.forms(in: format.printFormat)
    fields = format.fields.filter { !$0.name.hasPrefix("__probe_") }.map { ($0, forms[$0.name] ?? .hexadecimal) }
    self.symbols = symbols
  }

  /// How each field is shown, by its name.
  private static func forms(in printFormat: String) -> [String: Form] {
    let words = printFormat.utf8.split { " \",".utf8.contains($0) }.map(Substring.init)
    let pairs = words.compactMap { word -> (String, Form)? in
      guard let sign = word.utf8.firstIndex(of: UInt8(ascii: "=")) else { return nil }
      return (String(word[..<sign]), form(of: word[sign...].dropFirst()))
    }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }

  private static func form(of conversion: Substring) -> Form {
    if conversion.hasPrefix("%p") { return .symbol }
    return conversion.hasSuffix("d") || conversion.hasSuffix("u") ? .decimal : .hexadecimal
  }

  func decode(_ record: RawSpan) -> KVMFunctionCall {
    var values: [KVMFunctionCall.Value] = []
    for (field, form) in fields {
      values.append(KVMFunctionCall.Value(name: field.name, text: text(field, form, record)))
    }
    return KVMFunctionCall(function: function, isReturn: isReturn, values: values)
  }

  private func text(_ field: EventField, _ form: Form, _ record: RawSpan) -> String {
    guard field.kind == .scalar, let value = field.integer(in: record) else { return field.string(in: record) ?? "?" }
    switch form {
    case .decimal: return field.isSigned ? String(Int64(bitPattern: value)) : String(value)
    case .hexadecimal: return value.hexadecimal
    case .symbol:
      guard let symbol = symbols.symbol(at: value) else { return value.hexadecimal }
      return symbol.offset == 0 ? symbol.name : "\(symbol.name)+\(symbol.offset.hexadecimal)"
    }
  }
}
