/// What bhyve prints of an exit that it cannot handle, before it aborts (FreeBSD usr.sbin/bhyve/amd64/vmexit.c: vmexit_vmx, vmexit_svm,
/// vmexit_inst_emul, 14; bhyverun.c before).
public struct BhyveExit: Hashable, Sendable {
  /// The vCPU's number; nil for an instruction that could not be emulated.
  public var cpu: Int?
  /// RIP at the exit.
  public var instructionPointer: UInt64?
  /// Intel's exit reason.
  public var exitReason: UInt32?
  /// Intel's exit qualification.
  public var qualification: UInt64?
  /// Intel's VM-instruction error.
  public var instructionError: Int?
  /// AMD's exit code.
  public var exitCode: UInt64?
  /// AMD's EXITINFO1.
  public var exitInfo1: UInt64?
  /// AMD's EXITINFO2.
  public var exitInfo2: UInt64?
  /// The instruction that could not be emulated, as far as it was fetched.
  public var bytes: [UInt8] = []

  /// A line that begins one: `vm exit[0]`, or `Failed to emulate instruction sequence [ 0f1107 ] at 0x10b3f2`; FreeBSD 12 and xhyve have
  /// `Failed to emulate instruction [0x0f 0x11 0x07] at 0x10b3f2`.
  init?(_ line: LogLine) {
    var (exit, emulation) = (LineScanner(line.bytes), LineScanner(line.bytes))
    if exit.skip(past: "vm exit["), let number = exit.decimal(), exit.skip("]"), exit.isAtEnd {
      cpu = number
    } else if emulation.skip(past: "Failed to emulate instruction sequence [") {
      bytes = Self.bytes(&emulation)
      instructionPointer = emulation.skip(past: " 0x") ? emulation.hex()?.value : nil
    } else if emulation.skip(past: "Failed to emulate instruction [0x") {
      bytes = Self.bytes(&emulation)
      instructionPointer = emulation.skip(past: "] at 0x") ? emulation.hex()?.value : nil
    } else {
      return nil
    }
  }

  private static let longestInstruction = 15

  /// Older versions put blanks, or blanks and 0x, between the bytes.
  private static func bytes(_ scanner: inout LineScanner) -> [UInt8] {
    var digits: [UInt8] = []
    while let byte = scanner.rest.first, Byte.isBlank(byte) || Byte.hexDigit(byte) != nil {
      if scanner.skip(" 0x") { continue }
      if let digit = Byte.hexDigit(byte), digits.count < 2 * longestInstruction { digits.append(digit) }
      scanner.skipByte()
    }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  /// Takes one more line: a name and its value, behind tabs; false where it is none.
  mutating func take(_ line: LogLine) -> Bool {
    guard cpu != nil else { return false }
    var scanner = LineScanner(line.bytes)
    var name: [UInt8] = []
    while let byte = scanner.rest.first, Byte.isWord(byte) {
      name.append(byte)
      scanner.skipByte()
    }
    scanner.skipBlanks()
    switch String(decoding: name, as: UTF8.self) {
    case "rip": instructionPointer = scanner.prefixedHex()
    case "exit_reason": exitReason = scanner.decimal().flatMap(UInt32.init(exactly:))
    case "qualification": qualification = scanner.prefixedHex()
    case "inst_error": instructionError = scanner.decimal()
    case "exitcode": exitCode = scanner.prefixedHex()
    case "exitinfo1": exitInfo1 = scanner.prefixedHex()
    case "exitinfo2": exitInfo2 = scanner.prefixedHex()
    case "reason", "inst_length", "status", "inst_type": break
    default: return false
    }
    return true
  }
}
