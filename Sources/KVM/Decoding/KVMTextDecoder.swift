import Traces

/// Decodes the text of a tracepoint, whoever printed it.
enum KVMTextDecoder {
  /// Whether this is the name of a tracepoint of kvm or kvmmmu.
  static func isKnown(name: Span<UInt8>) -> Bool { KVMTracepoint.named(name.string) != nil }

  static func decode(name: Span<UInt8>, text: Span<UInt8>) -> KVMEvent {
    let name = name.string
    guard let tracepoint = KVMTracepoint.named(name) else { return .other(name: name, text: text.string) }
    if text.hasPrefix(unparsedMark) { return decodeFields(tracepoint, text) }
    if let readText = tracepoint.readText {
      guard let values = readText(text) else { return undecodable(name, text) }
      return tracepoint.decode(values)
    }
    for (index, pattern) in tracepoint.patterns.enumerated() {
      // Text may follow the newest form only: there a later kernel may have added to it. Behind an older form it would
      // be the rest of a newer one that was cut.
      guard let match = pattern.match(text), match.isWhole || index == 0 else { continue }
      return tracepoint.decode(match.values)
    }
    return undecodable(name, text)
  }

  private static func undecodable(_ name: String, _ text: Span<UInt8>) -> KVMEvent {
    .undecodable(name: name, reason: "no known kernel prints it as \"\(text.string)\"")
  }

  /// What libtraceevent prints for an event whose print format it cannot parse: the fields with their values.
  private static let unparsedMark = "[FAILED TO PARSE]"

  /// `[FAILED TO PARSE] exception=14 has_error=1 insn=ARRAY[0f, 22, c0]`: integers in decimal, bytes in hexadecimal
  /// (event-parse.c: print_field and print_event_fields of libtraceevent 1.7.1).
  private static func decodeFields(_ tracepoint: KVMTracepoint, _ text: Span<UInt8>) -> KVMEvent {
    var values = KVMFieldValues()
    var cursor = TextCursor(text)
    cursor.move(to: unparsedMark.utf8.count)
    while true {
      cursor.skipBlanks()
      if cursor.isAtEnd { return tracepoint.decode(values) }
      let field = cursor.takeIdentifier().string
      guard !field.isEmpty, cursor.skip("=") else { return undecodable(tracepoint.name, text) }
      if cursor.skip("ARRAY[") {
        guard let bytes = cursor.takeByteList() else { return undecodable(tracepoint.name, text) }
        values.bytes = bytes
        continue
      }
      let isHexadecimal = text.hasPrefix("0x", at: cursor.offset)
      let value =
        isHexadecimal
        ? cursor.takeHexadecimal() : cursor.takeDecimal() ?? cursor.takeSignedDecimal().map { UInt64(bitPattern: $0) }
      guard let value, cursor.next?.isBlank ?? true else { return undecodable(tracepoint.name, text) }
      if let index = tracepoint.index(of: field) { values[index] = value }
    }
  }
}

extension TextCursor {
  /// `0f, 22, c0]`.
  @_lifetime(self: copy self)
  fileprivate mutating func takeByteList() -> [UInt8]? {
    var bytes: [UInt8] = []
    while !skip("]") {
      guard let byte = takeHexadecimal(), byte <= 0xff else { return nil }
      bytes.append(UInt8(byte))
      if !skip(",") { return skip("]") ? bytes : nil }
      skipBlanks()
    }
    return bytes
  }
}
