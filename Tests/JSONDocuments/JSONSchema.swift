import Foundation

/// As much of JSON Schema 2020-12 as the verdict's schema uses; a keyword that it does not know is a problem, too.
public struct JSONSchema {
  private let root: JSONValue

  /// docs/verdict.schema.json, which every verdict fits.
  public static func ofVerdicts() throws -> JSONSchema {
    let file = URL(filePath: #filePath).appending(path: "../../../docs/verdict.schema.json").standardizedFileURL
    return JSONSchema(root: try JSONValue(String(contentsOf: file, encoding: .utf8)))
  }

  /// What is wrong with a document, each with its place; empty where it fits.
  public func problems(in document: JSONValue) -> [String] { problems(in: document, by: root, at: "$") }

  private static let annotations: Set<String> = ["$schema", "$defs", "title", "description"]

  private func problems(in value: JSONValue, by schema: JSONValue, at path: String) -> [String] {
    (schema.object ?? [:]).flatMap { keyword, argument -> [String] in
      switch keyword {
      case "$ref": problems(in: value, by: definition(argument), at: path)
      case "type": isOf(argument, value) ? [] : ["\(path): not \(argument)"]
      case "const": value == argument ? [] : ["\(path): not \(argument)"]
      case "enum": argument.array?.contains(value) == true ? [] : ["\(path): not one of \(argument)"]
      case "pattern": matches(value, argument) ? [] : ["\(path): \(value) is not \(argument)"]
      case "minimum": (value.number ?? 0) >= (argument.number ?? 0) ? [] : ["\(path): below \(argument)"]
      case "maximum": (value.number ?? 0) <= (argument.number ?? 0) ? [] : ["\(path): above \(argument)"]
      case "oneOf": oneOf(value, argument.array ?? [], at: path)
      case "items": items(value, argument, at: path)
      case "required": missing(value, argument.array ?? [], at: path)
      case "properties": properties(value, argument, at: path)
      case "additionalProperties": unexpected(value, schema, at: path)
      default: Self.annotations.contains(keyword) ? [] : ["schema: unknown keyword \(keyword)"]
      }
    }
  }

  private func definition(_ reference: JSONValue) -> JSONValue {
    let name = reference.string?.split(separator: "/").last.map(String.init) ?? ""
    return root["$defs"]?[name] ?? .object(["type": .string("no such definition: \(name)")])
  }

  private func isOf(_ types: JSONValue, _ value: JSONValue) -> Bool {
    let names = types.array?.compactMap(\.string) ?? [types.string ?? ""]
    return names.contains { name in
      switch value {
      case .null: name == "null"
      case .boolean: name == "boolean"
      case .number(let number): name == "integer" && number == number.rounded()
      case .string: name == "string"
      case .array: name == "array"
      case .object: name == "object"
      }
    }
  }

  private func matches(_ value: JSONValue, _ pattern: JSONValue) -> Bool {
    guard let text = value.string else { return true }
    return (try? Regex(pattern.string ?? "").firstMatch(in: text)) != nil
  }

  private func oneOf(_ value: JSONValue, _ schemas: [JSONValue], at path: String) -> [String] {
    let results = schemas.map { problems(in: value, by: $0, at: path) }
    return results.count(where: \.isEmpty) == 1 ? [] : ["\(path): not one of \(schemas.count)"] + results.joined()
  }

  private func items(_ value: JSONValue, _ schema: JSONValue, at path: String) -> [String] {
    (value.array ?? []).enumerated().flatMap { problems(in: $1, by: schema, at: "\(path)[\($0)]") }
  }

  private func missing(_ value: JSONValue, _ keys: [JSONValue], at path: String) -> [String] {
    guard let object = value.object else { return [] }
    return keys.compactMap(\.string).filter { object[$0] == nil }.map { "\(path): no \($0)" }
  }

  private func properties(_ value: JSONValue, _ schemas: JSONValue, at path: String) -> [String] {
    (value.object ?? [:]).flatMap { key, value in
      schemas[key].map { problems(in: value, by: $0, at: "\(path).\(key)") } ?? []
    }
  }

  private func unexpected(_ value: JSONValue, _ schema: JSONValue, at path: String) -> [String] {
    (value.object ?? [:]).keys.filter { schema["properties"]?[$0] == nil }.map { "\(path): unexpected \($0)" }
  }
}
