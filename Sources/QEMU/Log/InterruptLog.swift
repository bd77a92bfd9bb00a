public import X86

/// A line of `-d int`: an exception or interrupt that TCG delivers (`target/i386/tcg/seg_helper.c:
/// do_interrupt_all`, 7.2). Only what happens in protected or long mode is logged.
///
/// The fields from IP on may be missing where the line was cut.
public struct InterruptLog: Hashable, Sendable {
  /// The count of logged interrupts so far.
  public var number: Int?
  public var vector: ExceptionVector
  public var errorCode: UInt32
  /// Whether an INT instruction raised it.
  public var isSoftware: Bool?
  public var currentPrivilegeLevel: Int?
  public var codeSelector: SegmentSelector?
  /// RIP or EIP.
  public var instructionPointer: UInt64?
  /// CS.base + RIP.
  public var programCounter: UInt64?
  public var stackSelector: SegmentSelector?
  /// RSP or ESP.
  public var stackPointer: UInt64?
  /// CR2, which is shown for a page fault.
  public var cr2: UInt64?
  /// RAX, which is shown for everything else.
  public var rax: UInt64?

  public init(vector: ExceptionVector, errorCode: UInt32) {
    self.vector = vector
    self.errorCode = errorCode
  }

  /// Reads what follows `v=` in `     0: v=0e e=0002 i=0 cpl=0 IP=0008:1311 pc=1311 SP=0010:7bf8 CR2=20c000`.
  init?(_ scanner: inout LineScanner, before: ArraySlice<UInt8>) {
    guard let vector = scanner.hex(), vector.digits == 2, scanner.skip(" e="), let error = scanner.hex(),
      error.digits <= 8
    else { return nil }
    self.init(
      vector: ExceptionVector(rawValue: UInt8(truncatingIfNeeded: vector.value)),
      errorCode: UInt32(truncatingIfNeeded: error.value))
    number = Self.number(before)
    readFields(&scanner)
  }

  private static func number(_ before: ArraySlice<UInt8>) -> Int? {
    guard let colon = before.lastIndex(of: UInt8(ascii: ":")) else { return nil }
    let word = before[..<colon].split(separator: UInt8(ascii: " ")).last ?? []
    var scanner = LineScanner(word)
    guard let number = scanner.decimal(), scanner.isAtEnd else { return nil }
    return number
  }

  /// Takes the rest of a line that was broken before `SP=` or a later field; false where `line` is something else.
  mutating func takeContinuation(_ line: LogLine) -> Bool {
    var scanner = LineScanner(line.bytes)
    guard cr2 == nil, rax == nil, Self.lastFields.contains(where: { scanner.skip($0) }) else { return false }
    scanner = LineScanner(line.bytes)
    readFields(&scanner)
    return true
  }

  private static let lastFields: [StaticString] = ["IP=", "pc=", "SP=", "CR2=", "env->regs[R_EAX]=", "EAX="]

  private mutating func readFields(_ scanner: inout LineScanner) {
    while !scanner.isAtEnd {
      scanner.skipBlanks()
      readField(&scanner)
    }
  }

  private mutating func readField(_ scanner: inout LineScanner) {
    if scanner.skip("i=") {
      isSoftware = scanner.decimal().map { $0 != 0 }
    } else if scanner.skip("cpl=") {
      currentPrivilegeLevel = scanner.decimal()
    } else if scanner.skip("IP=") {
      (codeSelector, instructionPointer) = farPointer(&scanner)
    } else if scanner.skip("pc=") {
      programCounter = scanner.hex()?.value
    } else if scanner.skip("SP=") {
      (stackSelector, stackPointer) = farPointer(&scanner)
    } else if scanner.skip("CR2=") {
      cr2 = scanner.hex()?.value
    } else if scanner.skip("env->regs[R_EAX]=") || scanner.skip("EAX=") {
      rax = scanner.hex()?.value
    } else {
      skipWord(&scanner)
    }
  }

  private func skipWord(_ scanner: inout LineScanner) {
    while let byte = scanner.rest.first, !Byte.isBlank(byte) { scanner.skipByte() }
  }

  private func farPointer(_ scanner: inout LineScanner) -> (SegmentSelector?, UInt64?) {
    guard let selector = scanner.hex(), selector.digits <= 4, scanner.skip(":") else { return (nil, nil) }
    return (SegmentSelector(rawValue: UInt16(truncatingIfNeeded: selector.value)), scanner.hex()?.value)
  }
}
