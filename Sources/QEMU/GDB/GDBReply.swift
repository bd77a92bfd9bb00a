/// The payload of a packet from a GDB stub. What it means depends on what was asked.
public struct GDBReply: Hashable, Sendable {
  public var payload: [UInt8]

  public init(_ payload: [UInt8]) { self.payload = payload }

  public var text: String { String(decoding: payload, as: UTF8.self) }

  public var isOK: Bool { payload == Array("OK".utf8) }

  /// An empty answer: the stub does not know the request.
  public var isUnknownRequest: Bool { payload.isEmpty }

  /// The number of an error, `E22`; nil for another answer. Answers in hexadecimal have an even number of digits.
  public var errorNumber: UInt8? {
    guard payload.count == 3, payload[0] == UInt8(ascii: "E"), let high = GDBPacket.digit(payload[1]),
      let low = GDBPacket.digit(payload[2])
    else { return nil }
    return high << 4 | low
  }

  /// Whether this says that the guest stands still (`S`, `T`) or has ended (`W`, `X`). QEMU 7.2 sends such a packet
  /// unasked when a debugger connects to a guest that ran.
  public var isStopReply: Bool {
    guard let first = payload.first, payload.count >= 3 else { return false }
    return "STWX".utf8.contains(first) && GDBPacket.digit(payload[1]) != nil && GDBPacket.digit(payload[2]) != nil
  }

  /// What a monitor's command printed, of a packet that begins with `O`; nil for another packet.
  public var consoleOutput: [UInt8]? {
    guard payload.first == UInt8(ascii: "O"), !isOK else { return nil }
    return try? GDBReply.bytes(ofHexadecimal: payload.dropFirst())
  }

  /// The bytes that the digits give.
  public var bytes: [UInt8] {
    get throws(GDBReplyError) { try Self.bytes(ofHexadecimal: payload[...]) }
  }

  /// The payload with escaped bytes restored: `}` and the byte that was exclusively or'd with 0x20.
  public var unescaped: [UInt8] {
    get throws(GDBReplyError) {
      var bytes: [UInt8] = []
      var isEscaped = false
      for byte in payload {
        if isEscaped {
          bytes.append(byte ^ 0x20)
          isEscaped = false
        } else if byte == UInt8(ascii: "}") {
          isEscaped = true
        } else {
          bytes.append(byte)
        }
      }
      if isEscaped { throw .endsInEscape }
      return bytes
    }
  }

  /// The part of a file in an answer to `qXfer`, and whether it is the last.
  public var filePart: (bytes: [UInt8], isLast: Bool) {
    get throws(GDBReplyError) {
      let bytes = try unescaped
      switch bytes.first {
      case UInt8(ascii: "m"): return (Array(bytes.dropFirst()), false)
      case UInt8(ascii: "l"): return (Array(bytes.dropFirst()), true)
      default: throw .notFilePart
      }
    }
  }

  /// The threads in an answer to `qfThreadInfo` or `qsThreadInfo`; none where there are no more.
  public var threads: [GDBThread] {
    get throws(GDBReplyError) {
      if payload == [UInt8(ascii: "l")] { return [] }
      guard payload.first == UInt8(ascii: "m"), payload.count > 1 else { throw .notThreads }
      let names = payload.dropFirst().split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      var threads: [GDBThread] = []
      for name in names {
        // The name goes back to the stub, so that it must be one.
        let isName = name.allSatisfy {
          GDBPacket.digit($0) != nil || $0 == UInt8(ascii: "p") || $0 == UInt8(ascii: ".")
        }
        guard !name.isEmpty, name.count <= 40, isName else { throw .notThreads }
        threads.append(GDBThread(String(decoding: name, as: UTF8.self)))
      }
      return threads
    }
  }

  /// The value of a feature in an answer to `qSupported`, such as `1000` of `PacketSize=1000`; `+` and `-` for features
  /// without a value; nil for one that is not named.
  public func feature(_ name: String) -> String? {
    for item in text.split(separator: ";") where item.hasPrefix(name) {
      let rest = item.dropFirst(name.count)
      if rest.hasPrefix("=") { return String(rest.dropFirst()) }
      if rest == "+" || rest == "-" { return String(rest) }
    }
    return nil
  }

  private static func bytes(ofHexadecimal digits: ArraySlice<UInt8>) throws(GDBReplyError) -> [UInt8] {
    guard digits.count.isMultiple(of: 2) else { throw .notHexadecimal(offset: digits.count) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count / 2)
    var place = digits.startIndex
    while place < digits.endIndex {
      guard let high = GDBPacket.digit(digits[place]), let low = GDBPacket.digit(digits[place + 1]) else {
        throw .notHexadecimal(offset: place - digits.startIndex)
      }
      bytes.append(high << 4 | low)
      place += 2
    }
    return bytes
  }
}

/// Why an answer of a GDB stub is not what was asked for.
public enum GDBReplyError: Error, Hashable, Sendable {
  /// Not two hexadecimal digits for each byte, at this offset.
  case notHexadecimal(offset: Int)
  case endsInEscape
  /// Neither `m` nor `l` begins it.
  case notFilePart
  case notThreads
}
