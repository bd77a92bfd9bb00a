/// What makes a stream of a human monitor unusable.
public enum MonitorProtocolError: Error, Hashable, Sendable {
  /// More than ``MonitorDecoder/maximumLength`` bytes without a prompt.
  case outputTooLong(bytes: Int)
}

/// Turns what QEMU's human monitor writes to a socket into the text between its prompts.
///
/// The monitor takes its client for a terminal: it echoes each byte of a command by writing the whole line again, with escape
/// sequences in between (util/readline.c: readline_update, 7.2), ends lines with CR and LF, and over telnet negotiates first
/// (chardev/char-socket.c: tcp_chr_telnet_init, 7.2). All of that is taken out.
///
/// The stream is not trusted: it is bounded, and whatever a command prints beside its prompt is text.
public struct MonitorDecoder: Sendable {
  /// The longest text between two prompts, in bytes, what is taken out of it counted.
  public static let maximumLength = QMPDecoder.maximumLength
  private static let prompt = Array("(qemu) ".utf8)

  private enum Place: Hashable, Sendable {
    case text
    /// Behind ESC.
    case escape
    /// Behind ESC [.
    case controlSequence
    /// Behind telnet's IAC (RFC 854).
    case telnetCommand
    /// Behind WILL, WONT, DO or DONT.
    case telnetOption
  }

  private var place = Place.text
  private var text: [UInt8] = []
  /// Where in `text` the line begins that is being written.
  private var lineStart = 0
  /// What came since the last prompt.
  private var received = 0
  private var pending: [UInt8] = []
  private var consumed = 0
  /// Whether what comes first is the echo of a command, which a prompt was there for.
  private var beginsWithEcho = false

  public init() {}

  /// Takes the next bytes of the stream, cut anywhere.
  public mutating func receive(_ bytes: some Sequence<UInt8>) {
    pending.removeFirst(consumed)
    consumed = 0
    pending.append(contentsOf: bytes)
  }

  /// What was written before the next prompt, its lines ended by LF, without the command's echo; nil when more bytes are
  /// needed. After an error the stream is of no more use.
  public mutating func next() throws(MonitorProtocolError) -> String? {
    while consumed < pending.count {
      let byte = pending[consumed]
      consumed += 1
      received += 1
      if received > Self.maximumLength { throw .outputTooLong(bytes: received) }
      take(byte)
      if text.count - lineStart == Self.prompt.count, text[lineStart...].elementsEqual(Self.prompt) { return end() }
    }
    return nil
  }

  private mutating func take(_ byte: UInt8) {
    switch place {
    case .text: takeText(byte)
    case .escape: place = byte == UInt8(ascii: "[") ? .controlSequence : .text
    case .controlSequence:
      // ECMA-48, 5.4: a final byte ends it.
      if (0x40...0x7E).contains(byte) { place = .text }
    case .telnetCommand: place = (251...254).contains(byte) ? .telnetOption : .text
    case .telnetOption: place = .text
    }
  }

  private mutating func takeText(_ byte: UInt8) {
    switch byte {
    case 0x1B: place = .escape
    case 0xFF: place = .telnetCommand
    case UInt8(ascii: "\r"): break
    case UInt8(ascii: "\n"):
      text.append(byte)
      lineStart = text.count
    default: text.append(byte)
    }
  }

  private mutating func end() -> String {
    var output = text[..<lineStart]
    if beginsWithEcho { output = output.drop { $0 != UInt8(ascii: "\n") }.dropFirst() }
    defer {
      text = []
      (lineStart, received) = (0, 0)
      beginsWithEcho = true
    }
    return String(decoding: output, as: UTF8.self)
  }
}
