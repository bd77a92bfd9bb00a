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
    guard let vector = scanner.hex(), vector.digits == 2 else { return nil }
    let exception = ExceptionVector(rawValue: UInt8(truncatingIfNeeded: vector.value))
    if scanner.isAtEnd, before.isEmpty, !exception.hasErrorCode {
      // A log cut down to the vectors.
      self.init(vector: exception, errorCode: 0)
      return
    }
    guard scanner.skip(" e="), let error = scanner.hex(), error.digits <= 8 else { return nil }
    self.init(vector: exception, errorCode: UInt32(truncatingIfNeeded: error.value))
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

  /// How many of the optional fields there are.
  var fieldCount: Int {
    let values: [UInt64?] = [instructionPointer, programCounter, stackPointer, cr2, rax]
    return values.count { $0 != nil } + (isSoftware == nil ? 0 : 1) + (currentPrivilegeLevel == nil ? 0 : 1)
  }

  /// The interrupt of a line that was broken and of its rest; nil where `rest` adds nothing to the line.
  static func joining(_ line: LogLine, _ rest: LogLine) -> Self? {
    var isDump = LineScanner(rest.bytes)
    guard !isDump.skip(past: "EBX=") else { return nil }
    // The next event is no rest of this one.
    if case .interrupt = QEMUMessage(rest) { return nil }
    let candidates = [[], [UInt8(ascii: " ")]].compactMap { separator in
      let joined = LogLine(number: line.number, bytes: (line.bytes + separator + rest.bytes)[...])
      if case .interrupt(let interrupt) = QEMUMessage(joined) { return interrupt }
      return nil
    }
    guard case .interrupt(let alone) = QEMUMessage(line),
      let best = candidates.max(by: { $0.fieldCount < $1.fieldCount })
    else { return nil }
    return best.fieldCount > alone.fieldCount ? best : nil
  }

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
