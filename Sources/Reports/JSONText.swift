import FoundationEssentials

/// A document as JSON for people and programs, its keys in order, ending in a newline.
func jsonText(_ document: some Encodable) -> String { jsonText(document, .prettyPrinted) + "\n" }

/// A document as JSON on one line, without a newline.
func jsonLine(_ document: some Encodable) -> String { jsonText(document, []) }

private func jsonText(_ document: some Encodable, _ layout: JSONEncoder.OutputFormatting) -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, layout]
  // Encoding strings, integers, booleans and null has no way to fail.
  guard let data = try? encoder.encode(document) else { return "{}" }
  return String(decoding: data, as: UTF8.self)
}

/// An optional that is encoded as null where the synthesised encoding would leave the key out.
@propertyWrapper
struct Null<Value: Encodable>: Encodable {
  var wrappedValue: Value?

  init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(wrappedValue)
  }
}
