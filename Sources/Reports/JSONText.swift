import FoundationEssentials

/// A document as JSON, its keys in order.
///
/// - Parameter isPretty: Over several lines, for people; else on one.
func jsonText(of document: some Encodable, isPretty: Bool = true) -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  if isPretty { encoder.outputFormatting.insert(.prettyPrinted) }
  // Encoding strings, integers, booleans and null has no way to fail.
  guard let data = try? encoder.encode(document) else { return "{}" }
  return String(decoding: data, as: UTF8.self)
}

/// An optional that is encoded as null where the synthesised encoding would leave the key out.
@propertyWrapper
struct Null<Value: Encodable>: Encodable {
  var wrappedValue: Value?

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(wrappedValue)
  }
}
