/// Turns the bytes that QEMU sends into messages; one line is one message.
///
/// A guest may control its QEMU, so the stream is not trusted: a line has at most ``maximumLength`` bytes and
/// ``JSONValue/maximumDepth`` nested values.
public struct QMPDecoder: Sendable {
  /// The longest line, in bytes. `info registers -a` of 255 CPUs with AVX-512 takes about 2 MiB.
  public static let maximumLength = 16 << 20

  /// Bytes received and not yet part of a message.
  private var pending: [UInt8] = []
  /// How many bytes of `pending` are known to hold no line feed.
  private var scanned = 0

  public init() {}

  /// Takes the next bytes of the stream, cut anywhere.
  public mutating func receive(_ bytes: some Sequence<UInt8>) {
    pending.append(contentsOf: bytes)
  }

  /// The next complete message; nil when more bytes are needed. After an error the stream is of no more use.
  public mutating func next() throws(QMPProtocolError) -> QMPMessage? {
    while let line = try nextLine() {
      if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
      return try QMPMessage(line: line)
    }
    return nil
  }

  private mutating func nextLine() throws(QMPProtocolError) -> [UInt8]? {
    guard let end = pending[scanned...].firstIndex(of: UInt8(ascii: "\n")) else {
      scanned = pending.count
      // Another protocol may never end its line.
      if let first = pending.first, !"{ \r".utf8.contains(first) { throw .notQMP(line: Self.excerpt(pending)) }
      if pending.count > Self.maximumLength { throw .messageTooLong(bytes: pending.count) }
      return nil
    }
    if end > Self.maximumLength { throw .messageTooLong(bytes: end) }
    let line = Array(pending[..<end])
    pending.removeSubrange(...end)
    scanned = 0
    return line
  }
}

extension QMPDecoder {
  /// The beginning of a line.
  fileprivate static func excerpt(_ line: [UInt8]) -> String { String(decoding: line.prefix(200), as: UTF8.self) }
}

/// What makes a QMP stream unusable.
public enum QMPProtocolError: Error, Hashable, Sendable {
  case messageTooLong(bytes: Int)
  case nestedTooDeep(depth: Int)
  /// Not JSON, or not what QMP puts in a message; with the beginning of the line.
  case notQMP(line: String)
}

extension QMPMessage {
  fileprivate init(line: [UInt8]) throws(QMPProtocolError) {
    do throws(JSONTextError) {
      if let message = QMPMessage(try JSONValue(parsing: line)) {
        self = message
        return
      }
    } catch {
      if case .nestedTooDeep(let depth) = error { throw .nestedTooDeep(depth: depth) }
    }
    throw .notQMP(line: QMPDecoder.excerpt(line))
  }

  private init?(_ value: JSONValue) {
    let id = value["id"]?.uint64
    if let name = value["event"]?.string {
      self = .event(QMPEvent(name: name, data: value["data"]))
    } else if let result = value["return"] {
      self = .reply(id: id, value: result)
    } else if let error = value["error"] {
      let failure = QMPFailure(
        errorClass: error["class"]?.string ?? "", explanation: error["desc"]?.string ?? "no explanation")
      self = .failure(id: id, failure)
    } else if let greeting = value["QMP"], let version = QEMUVersion(greeting["version"]) {
      self = .greeting(version)
    } else {
      return nil
    }
  }
}

extension QEMUVersion {
  /// The form of the greeting and of `query-version`.
  init?(_ value: JSONValue?) {
    guard
      let numbers = value?["qemu"],
      let major = numbers["major"]?.uint64, let minor = numbers["minor"]?.uint64, let micro = numbers["micro"]?.uint64
    else { return nil }
    self.init(
      major: Int(clamping: major), minor: Int(clamping: minor), micro: Int(clamping: micro),
      package: value?["package"]?.string ?? "")
  }
}
