/// An option's argument in QEMU's `key=value,key=value` form (`util/keyval.c`, `util/qemu-option.c`).
///
/// `,,` stands for a comma inside a value. A first word without `=` is the value of the option's implied key
/// (`-machine q35`, `-accel kvm`, `-device e1000`).
struct OptionProperties {
  /// The key's value of each property in order; nil for a bare word, which QEMU takes for `word=on`.
  private(set) var pairs: [(key: String, value: String?)] = []

  init(_ text: String, impliedKey: String? = nil) {
    for (index, part) in Self.parts(of: text).enumerated() {
      if let equals = part.firstIndex(of: "=") {
        pairs.append((String(part[..<equals]), String(part[part.index(after: equals)...])))
      } else if index == 0, let impliedKey {
        pairs.append((impliedKey, part))
      } else if !part.isEmpty {
        pairs.append((part, nil))
      }
    }
  }

  /// The last value of `key`; `on` where the key stands alone.
  subscript(key: String) -> String? {
    guard let pair = pairs.last(where: { $0.key == key }) else { return nil }
    return pair.value ?? "on"
  }

  private static func parts(of text: String) -> [String] {
    var parts: [String] = []
    var part = ""
    var rest = text[...]
    while let character = rest.popFirst() {
      guard character == "," else {
        part.append(character)
        continue
      }
      if rest.first == "," {
        rest.removeFirst()
        part.append(",")
      } else {
        parts.append(part)
        part = ""
      }
    }
    parts.append(part)
    return parts
  }
}
