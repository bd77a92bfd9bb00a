/// The form of a packet of the GDB remote serial protocol: `$`, the payload, `#`, and two digits of checksum (GDB manual,
/// E.1 "Overview").
public enum GDBPacket {
  /// The bytes that carry a payload. Bytes that mean something between packets are escaped.
  public static func framed(_ payload: [UInt8]) -> [UInt8] {
    var bytes = [UInt8(ascii: "$")]
    for byte in payload {
      switch byte {
      case UInt8(ascii: "$"), UInt8(ascii: "#"), UInt8(ascii: "}"), UInt8(ascii: "*"):
        bytes += [UInt8(ascii: "}"), byte ^ 0x20]
      default: bytes.append(byte)
      }
    }
    let sum = checksum(bytes.dropFirst())
    return bytes + [UInt8(ascii: "#")] + hexadecimal([sum])
  }

  /// The sum of the bytes between `$` and `#`, modulo 256.
  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt8 { bytes.reduce(0, &+) }

  /// Two lower-case digits for each byte.
  static func hexadecimal(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }
  }

  /// The value of a digit in either case; nil for another byte.
  static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
