import FoundationEssentials

/// A JSON value as QMP carries it.
public enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  /// A whole number that fits.
  case integer(Int64)
  /// A whole number above `Int64.max`: QEMU prints addresses and feature words as unsigned decimals.
  case unsigned(UInt64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// The member `name` of an object; nil for anything else.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members[name]
  }

  public var bool: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  public var string: String? {
    guard case .string(let value) = self else { return nil }
    return value
  }

  public var array: [JSONValue]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  /// A whole number that is not negative.
  public var uint64: UInt64? {
    switch self {
    case .integer(let value): UInt64(exactly: value)
    case .unsigned(let value): value
    default: nil
    }
  }
}

extension JSONValue: Codable {
  /// What a reply has most is tried first: the decoder makes an error, with its words, of each kind that a value is not.
  public init(from decoder: any Decoder) throws {
    let scalar = try decoder.singleValueContainer()
    if let value = try? scalar.decode(String.self) {
      self = .string(value)
    } else if let value = try? scalar.decode(Int64.self) {
      self = .integer(value)
    } else if let members = try? decoder.container(keyedBy: MemberName.self) {
      var object: [String: JSONValue] = [:]
      for key in members.allKeys { object[key.stringValue] = try members.decode(JSONValue.self, forKey: key) }
      self = .object(object)
    } else if var elements = try? decoder.unkeyedContainer() {
      var array: [JSONValue] = []
      while !elements.isAtEnd { array.append(try elements.decode(JSONValue.self)) }
      self = .array(array)
    } else if scalar.decodeNil() {
      self = .null
    } else if let value = try? scalar.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? scalar.decode(UInt64.self) {
      self = .unsigned(value)
    } else {
      self = .number(try scalar.decode(Double.self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .unsigned(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let elements): try container.encode(elements)
    case .object(let members): try container.encode(members)
    }
  }

  private struct MemberName: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
}

/// Why a text is no JSON value.
enum JSONTextError: Error, Hashable {
  case nestedTooDeep(depth: Int)
  case notJSON
}

extension JSONValue {
  /// How deep arrays and objects may nest. The deepest reply asked for here, `query-cpus-fast`, has four levels.
  public static let maximumDepth = 64

  /// The value that a text of QEMU's monitor is; nil for any other text.
  public init?(monitorText text: String) {
    guard let value = try? JSONValue(parsing: Array(text.utf8)) else { return nil }
    self = value
  }

  init(parsing text: [UInt8]) throws(JSONTextError) {
    let depth = nestingDepth(text)
    if depth > Self.maximumDepth { throw .nestedTooDeep(depth: depth) }
    guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(text)) else { throw .notJSON }
    self = value
  }
}

/// How deep the brackets outside strings nest. Asked before the line is parsed, because a parser recurses.
private func nestingDepth(_ line: [UInt8]) -> Int {
  var depth = 0
  var deepest = 0
  var inString = false
  var escaped = false
  for byte in line {
    if inString {
      if escaped {
        escaped = false
      } else if byte == UInt8(ascii: "\\") {
        escaped = true
      } else if byte == UInt8(ascii: "\"") {
        inString = false
      }
      continue
    }
    switch byte {
    case UInt8(ascii: "\""): inString = true
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      depth += 1
      deepest = max(deepest, depth)
    case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
    default: break
    }
  }
  return deepest
}
