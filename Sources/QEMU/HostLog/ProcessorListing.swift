/// What /proc/cpuinfo or lscpu show of a processor, pasted into a log: of the host's or of the guest's, which the text does not tell.
public struct ProcessorListing: Hashable, Sendable {
  /// The values by their names in lower case, as cpuinfo has them: `cpu family`, `model`, `model name`, `flags`, `hypervisor vendor`.
  public var values: [String: String]
  /// The name whose value the last line held, which a broken line goes on with.
  private var lastName: String

  /// How many lines a listing of one processor has at most; the rest is of the next.
  private static let mostValues = 80

  /// Whether a line begins a listing: one of the first lines that Linux prints, or its flags.
  init?(_ line: LogLine) {
    guard let (name, value) = Self.nameAndValue(line), Self.beginnings.contains(name) else { return nil }
    values = [name: value]
    lastName = name
  }

  private static let beginnings: Set<String> = [
    "processor", "vendor_id", "vendor id", "cpu family", "model name", "flags", "hypervisor vendor",
  ]

  /// Takes one more line; false where it is none of a listing.
  mutating func take(_ line: LogLine) -> Bool {
    guard values.count < Self.mostValues else { return false }
    if let (name, value) = Self.nameAndValue(line) {
      guard values[name] == nil else { return false }
      values[name] = value
      lastName = name
      return true
    }
    guard lastName == "flags", !line.bytes.isEmpty, line.bytes.allSatisfy(Self.isOfFlags) else { return false }
    values[lastName, default: ""] += " " + line.string
    return true
  }

  /// Whether a byte can be of a broken list of flags: lower-case words.
  private static func isOfFlags(_ byte: UInt8) -> Bool {
    Byte.isBlank(byte) || Byte.isDigit(byte) || byte == UInt8(ascii: "_") || (0x61...0x7A).contains(byte)
  }

  /// `cpu family<TAB>: 6`, `Model name:   Intel(R) …`.
  private static func nameAndValue(_ line: LogLine) -> (String, String)? {
    guard let colon = line.bytes.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    var name = line.bytes[..<colon]
    while let last = name.last, Byte.isBlank(last) { name.removeLast() }
    guard (2...24).contains(name.count),
      name.allSatisfy({ byte in
        (0x61...0x7A).contains(byte | 0x20) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: " ")
          || Byte.isDigit(byte)
      })
    else { return nil }
    var scanner = LineScanner(line.bytes[(colon + 1)...])
    scanner.skipBlanks()
    return (String(decoding: name, as: UTF8.self).lowercased(), scanner.text())
  }
}

extension ProcessorListing {
  /// The flags, in the spelling of Linux.
  public var flags: [Substring] { values["flags"].map { $0.split(separator: " ") } ?? [] }

  /// Whether the processor says itself that it is a virtual one.
  public var isVirtual: Bool { flags.contains("hypervisor") || values["hypervisor vendor"] != nil }
}
