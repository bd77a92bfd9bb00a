/// A Multiboot header, of a file or as somebody printed it beside a log: names and values (Multiboot Specification 0.6.96, 3.1).
public struct MultibootHeader: Hashable, Sendable {
  /// The fields that were shown, by their names in the specification: `flags`, `load_addr`, `entry_addr`.
  public var fields: [String: UInt64]

  /// Bit 16 of the flags: the address fields are valid and must be used.
  public var usesAddressFields: Bool { (fields["flags"] ?? 0) >> 16 & 1 == 1 }

  private static let names: Set<String> = [
    "magic", "flags", "checksum", "header_addr", "load_addr", "load_end_addr", "bss_end_addr", "entry_addr",
  ]

  /// The value that a header begins with.
  public static let magic: UInt32 = 0x1BAD_B002

  /// The header of a kernel's file: 4-byte aligned, within the first 8 KiB, its first three words adding up to 0 (Multiboot Specification
  /// 0.6.96, 3.1; QEMU hw/i386/multiboot.c: load_multiboot, 7.2). Nil where there is none.
  public init?(inFile contents: Span<UInt8>) {
    func word(_ offset: Int) -> UInt32? {
      guard offset + 4 <= min(contents.count, 8192) else { return nil }
      return (0..<4).reduce(0) { $0 | UInt32(contents[offset + $1]) << UInt32(8 * $1) }
    }
    let start = stride(from: 0, to: 8192, by: 4).first { offset in
      guard word(offset) == Self.magic, let flags = word(offset + 4), let checksum = word(offset + 8) else {
        return false
      }
      return Self.magic &+ flags &+ checksum == 0
    }
    guard let start else { return nil }
    let names = [
      "magic", "flags", "checksum", "header_addr", "load_addr", "load_end_addr", "bss_end_addr", "entry_addr",
    ]
    fields = [:]
    for (index, name) in names.enumerated() { fields[name] = word(start + 4 * index).map(UInt64.init) }
  }

  /// A line with the magic number, 1BADB002H, and the flags.
  init?(_ line: LogLine) {
    let fields = Self.fields(line)
    guard fields["magic"] == UInt64(Self.magic), fields["flags"] != nil else { return nil }
    self.fields = fields
  }

  /// Takes one more line; false where it has no field.
  mutating func take(_ line: LogLine) -> Bool {
    let more = Self.fields(line)
    guard !more.isEmpty, more["magic"] == nil else { return false }
    fields.merge(more) { first, _ in first }
    return true
  }

  /// `load_addr 0x100000   entry_addr 0x100040`, with any of blank, `:` and `=` between name and value.
  private static func fields(_ line: LogLine) -> [String: UInt64] {
    let words = line.bytes.split {
      Byte.isBlank($0) || $0 == UInt8(ascii: ":") || $0 == Byte.equals || $0 == UInt8(ascii: ",")
    }
    var fields: [String: UInt64] = [:]
    for (name, value) in zip(words, words.dropFirst()) {
      var scanner = LineScanner(value)
      let name = String(decoding: name, as: UTF8.self)
      guard names.contains(name), value.starts(with: [UInt8(ascii: "0"), UInt8(ascii: "x")]),
        let number = scanner.prefixedHex(), scanner.isAtEnd
      else { continue }
      fields[name] = number
    }
    return fields
  }
}
