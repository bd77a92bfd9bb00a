import Traces
import X86

extension KVMEmulation {
  /// Reads the fields rip, csbase, len, flags, failed and the bytes of the instruction.
  init(_ f: KVMFieldValues) throws(KVMDecodingError) {
    guard let bytes = f.bytes else { throw .missingField(5) }
    let length = f[2].map { Int(truncatingIfNeeded: $0 & 0xff) } ?? bytes.count
    self.init(
      codeSegmentBase: try f.required(1, as: UInt32.self), rip: try f.required(0), bytes: Array(bytes.prefix(length)),
      mode: f[3].map(Self.mode), failed: try f.requiredFlag(4))
  }

  /// kei_decode_mode of trace.h, Linux 6.19: CR0.PE is bit 0, CS.D bit 2, CS.L bit 3. For virtual-8086 mode the code
  /// sets bit 1 alone, which the kernel's own table of names lacks, so that it prints `0x2`.
  private static func mode(_ flags: UInt64) -> String {
    for (value, name) in modes where value == flags { return name }
    return "0x" + String(flags, radix: 16)
  }

  private static let modes: [(UInt64, String)] = [
    (0, "real"), (3, "vm16"), (1, "prot16"), (5, "prot32"), (9, "prot64"),
  ]

  /// `0:133025:ec (prot64) failed` as the kernel prints it, `0:133025: ec FAIL` as trace-cmd's plugin does.
  static func readText(_ text: Span<UInt8>) -> KVMFieldValues? {
    var values = KVMFieldValues()
    var cursor = TextCursor(text)
    guard let base = cursor.takeHexadecimal(), cursor.skip(":"), let rip = cursor.takeHexadecimal(), cursor.skip(":")
    else { return nil }
    values[1] = base
    values[0] = rip
    var bytes: [UInt8] = []
    var hasFailed = false
    while true {
      cursor.skipBlanks()
      let word = cursor.takeWord()
      if word.isEmpty { break }
      if word.count == 2, let high = word[0].hexadecimalDigit, let low = word[1].hexadecimalDigit {
        bytes.append(high << 4 | low)
      } else if word.equals("FAIL") || word.equals("failed") {
        hasFailed = true
      } else if let flags = flags(word) {
        values[3] = flags
      } else {
        return nil
      }
    }
    values.bytes = bytes
    values[4] = hasFailed ? 1 : 0
    return values
  }

  /// `(prot64)`, `(0x2)`.
  private static func flags(_ word: Span<UInt8>) -> UInt64? {
    guard word.hasPrefix("("), word.hasSuffix(")") else { return nil }
    let name = word.extracting(1..<(word.count - 1))
    for (value, mode) in modes where name.equals(mode) { return value }
    guard name.hasPrefix("0x") else { return nil }
    var cursor = TextCursor(name)
    let value = cursor.takeHexadecimal()
    return cursor.isAtEnd ? value : nil
  }
}

extension UserspaceExitReason {
  /// `reason KVM_EXIT_SHUTDOWN (8)`, `reason restart (4)`, `reason error (14)`, `reason 0x25 (37)`
  /// (include/trace/events/kvm.h: kvm_userspace_exit, Linux 6.19).
  static func readText(_ text: Span<UInt8>) -> KVMFieldValues? {
    var values = KVMFieldValues()
    var cursor = TextCursor(text)
    guard cursor.skip("reason ") else { return nil }
    let word = cursor.takeWord().string
    cursor.skipBlanks()
    guard cursor.skip("("), let number = cursor.takeDecimal(), number <= 0xffff_ffff, cursor.skip(")") else {
      return nil
    }
    if word == "restart" || word == "error" {
      values[1] = 0 &- number
    } else if let reason = UserspaceExitReason(name: word), UInt64(reason.rawValue) == number {
      values[0] = number
    } else if word.hasPrefix("KVM_EXIT_"), UserspaceExitReason(name: word) == nil {
      // A name of a later kernel.
      values[0] = number
    } else {
      return nil
    }
    return values
  }
}

extension ExceptionVector {
  /// Reads the fields exception, has_error, error_code, reinjected from
  ///
  ///     #PF (0x9) [reinjected]      6.1
  ///     #UD (0x0)                   5.10, which prints an error code where there is none
  ///     0x1f                        a vector without a name
  static func readText(_ text: Span<UInt8>) -> KVMFieldValues? {
    var values = KVMFieldValues()
    var cursor = TextCursor(text)
    guard let vector = vector(named: cursor.takeWord()) else { return nil }
    values[0] = UInt64(vector.rawValue)
    cursor.skipBlanks()
    values[1] = 0
    if cursor.skip("(") {
      guard let code = cursor.takeHexadecimal(), cursor.skip(")") else { return nil }
      values[1] = vector.pushesErrorCode ? 1 : 0
      values[2] = code
    }
    cursor.skipBlanks()
    values[3] = cursor.skip("[reinjected]") ? 1 : 0
    return cursor.isAtEnd ? values : nil
  }

  private static func vector(named word: Span<UInt8>) -> ExceptionVector? {
    if word.hasPrefix("0x") {
      var cursor = TextCursor(word)
      guard let number = cursor.takeHexadecimal(), cursor.isAtEnd else { return nil }
      return UInt8(exactly: number).map(ExceptionVector.init(rawValue:))
    }
    guard word.hasPrefix("#") else { return nil }
    return (0..<32).lazy.map { ExceptionVector(rawValue: $0) }.first { word.equals($0.name) }
  }

  /// Whether the processor pushes an error code for it (SDM vol. 3, table 6-1; APM vol. 2, table 8-1).
  private var pushesErrorCode: Bool {
    switch rawValue {
    case 8, 10...14, 17, 21, 29, 30: true
    default: false
    }
  }
}
