/// The instruction bytes of a `Code=` line: 50 of them, from up to 20 before RIP on.
public struct CodeBytes: Hashable, Sendable {
  /// The bytes in order; nil for one QEMU could not read (`??`).
  public var bytes: [UInt8?]
  /// The index of the byte at RIP, which QEMU puts in `<>`; nil where the line lost its mark.
  public var marked: Int?
  /// The line of `Code=`, counted from 1.
  public var line: Int

  public init(bytes: [UInt8?], marked: Int?, line: Int) {
    self.bytes = bytes
    self.marked = marked
    self.line = line
  }

  /// The bytes from RIP on, up to the first that could not be read.
  public var atInstructionPointer: [UInt8] {
    guard let marked, bytes.indices.contains(marked) else { return [] }
    return bytes[marked...].prefix { $0 != nil }.compactMap { $0 }
  }

  /// Whether QEMU could read none of the bytes: the page of RIP could not be reached.
  public var isUnreadable: Bool { !bytes.isEmpty && bytes.allSatisfy { $0 == nil } }
}

/// Reads the bytes of a `Code=` line, which may go on over several lines where a terminal or mailer broke it.
struct CodeBytesReader {
  /// What QEMU prints; a longer run of bytes is something else (`cpu-dump.c: DUMP_CODE_BYTES_TOTAL`, 7.2).
  static let count = 50

  private(set) var code: CodeBytes
  /// The first half of a byte that the end of a line cut in two.
  private var half: UInt8?
  private var isMarking = false

  init(line: Int) { code = CodeBytes(bytes: [], marked: nil, line: line) }

  var isComplete: Bool { code.bytes.count >= Self.count && half == nil }

  /// Reads a line's bytes. False where it holds anything else: with `wholeLine` nothing is taken then, otherwise
  /// what comes before it.
  mutating func read(_ bytes: ArraySlice<UInt8>, wholeLine: Bool) -> Bool {
    var copy = self
    for byte in bytes where !copy.take(byte) {
      if !wholeLine { self = copy }
      return false
    }
    self = copy
    return true
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    switch byte {
    case Byte.less:
      isMarking = true
      return half == nil
    case Byte.greater:
      isMarking = false
      return half == nil
    case _ where Byte.isBlank(byte): return half == nil
    case _ where Byte.hexDigit(byte) != nil || byte == Byte.question: return takeDigit(byte)
    default: return false
    }
  }

  private mutating func takeDigit(_ byte: UInt8) -> Bool {
    guard let first = half else {
      guard code.bytes.count < Self.count else { return false }
      half = byte
      return true
    }
    half = nil
    if isMarking, code.marked == nil { code.marked = code.bytes.count }
    if let high = Byte.hexDigit(first), let low = Byte.hexDigit(byte) {
      code.bytes.append(high << 4 | low)
      return true
    }
    guard first == Byte.question, byte == Byte.question else { return false }
    code.bytes.append(nil)
    return true
  }
}
