/// What a GDB stub sends.
public enum GDBMessage: Hashable, Sendable {
  /// `+`: the last packet arrived well.
  case acknowledgment
  /// `-`: the last packet arrived damaged and is to be sent again.
  case retransmissionRequest
  /// A whole packet with run lengths expanded; escaped bytes are still escaped (see ``GDBReply/unescaped``).
  case packet(GDBReply)
  /// A packet whose checksum is not that of its bytes.
  case damagedPacket
}

/// What makes a stream of a GDB stub unusable.
public enum GDBProtocolError: Error, Hashable, Sendable {
  /// A packet longer than ``GDBDecoder/maximumLength``, with what was read of it.
  case packetTooLong(bytes: Int)
  /// A byte between packets that has no meaning there; the first thing another protocol says.
  case notGDB(byte: UInt8)
  /// A run length that is none, in a packet whose checksum is right, at this offset in the payload.
  case badRunLength(offset: Int)
}

/// Turns the bytes that a GDB stub sends into messages.
///
/// The stub is not trusted: what it sends is bounded before and after run lengths are expanded.
public struct GDBDecoder: Sendable {
  /// The longest payload, in bytes. QEMU's packets have at most 4096.
  public static let maximumLength = 1 << 16

  private enum Place: Hashable, Sendable {
    case betweenPackets
    case payload
    /// Behind `#`, with the digits that came.
    case checksum([UInt8])
  }

  private var pending: [UInt8] = []
  private var consumed = 0
  private var place = Place.betweenPackets
  private var payload: [UInt8] = []

  public init() {}

  /// Takes the next bytes of the stream, cut anywhere.
  public mutating func receive(_ bytes: some Sequence<UInt8>) {
    pending.removeFirst(consumed)
    consumed = 0
    pending.append(contentsOf: bytes)
  }

  /// The next message; nil when more bytes are needed. After an error the stream is of no more use.
  public mutating func next() throws(GDBProtocolError) -> GDBMessage? {
    while consumed < pending.count {
      let byte = pending[consumed]
      consumed += 1
      if let message = try take(byte) { return message }
    }
    return nil
  }

  private mutating func take(_ byte: UInt8) throws(GDBProtocolError) -> GDBMessage? {
    switch place {
    case .betweenPackets: return try takeBetweenPackets(byte)
    case .payload:
      if byte == UInt8(ascii: "#") {
        place = .checksum([])
      } else if byte == UInt8(ascii: "$") {
        // The packet before was cut off, and a new one begins.
        payload = []
      } else {
        payload.append(byte)
        if payload.count > Self.maximumLength { throw .packetTooLong(bytes: payload.count) }
      }
      return nil
    case .checksum(let digits):
      guard digits.count == 1 else {
        place = .checksum([byte])
        return nil
      }
      place = .betweenPackets
      return try end(checksum: digits + [byte])
    }
  }

  private mutating func takeBetweenPackets(_ byte: UInt8) throws(GDBProtocolError) -> GDBMessage? {
    switch byte {
    case UInt8(ascii: "+"): return .acknowledgment
    case UInt8(ascii: "-"): return .retransmissionRequest
    case UInt8(ascii: "$"):
      payload = []
      place = .payload
      return nil
    default: throw .notGDB(byte: byte)
    }
  }

  private mutating func end(checksum digits: [UInt8]) throws(GDBProtocolError) -> GDBMessage {
    defer { payload = [] }
    guard let high = GDBPacket.digit(digits[0]), let low = GDBPacket.digit(digits[1]),
      high << 4 | low == GDBPacket.checksum(payload)
    else { return .damagedPacket }
    return .packet(GDBReply(try expanded(payload)))
  }

  /// The payload with run lengths expanded: `0* ` is `0000`. The byte behind `*` says how often more the one before it
  /// comes, plus 29 (GDB manual, E.1 "Overview").
  private func expanded(_ payload: [UInt8]) throws(GDBProtocolError) -> [UInt8] {
    guard payload.contains(UInt8(ascii: "*")) else { return payload }
    var bytes: [UInt8] = []
    var offset = 0
    while offset < payload.count {
      let byte = payload[offset]
      if byte != UInt8(ascii: "*") {
        bytes.append(byte)
        offset += 1
        continue
      }
      guard let repeated = bytes.last, offset + 1 < payload.count, (32...126).contains(payload[offset + 1]) else {
        throw .badRunLength(offset: offset)
      }
      bytes.append(contentsOf: repeatElement(repeated, count: Int(payload[offset + 1]) - 29))
      if bytes.count > Self.maximumLength { throw .packetTooLong(bytes: bytes.count) }
      offset += 2
    }
    return bytes
  }
}
