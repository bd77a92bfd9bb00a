import X86

/// The words by which QEMU's messages are known, wherever in a line they stand.
private enum Phrase: CaseIterable {
  case internalError, notifyExit, entryFailed, exceptionExit, unknownExit, unknownExitReason, runFailed
  case interrupt, exceptionCheck, cpuReset, hardwareInterrupt, virtualInterrupt, tripleFault, smmEntered, smmLeft,
    nestedExit
  case unsupportedFeature, unknownModel, globalNotApplied, outsideMemory, fatal, registersRefused, unhandledExit
  case otherInternalError, otherRunFailed, monitorRunFailed
  case oldInternalError, failEntry, failEntryExit, failEntryReason

  var text: StaticString {
    switch self {
    case .internalError: "KVM internal error. Suberror: "
    case .notifyExit: "KVM internal error: Encountered a notify exit"
    case .entryFailed: "KVM: entry failed, hardware error "
    case .exceptionExit: "KVM: exception "
    case .unknownExit: "KVM: unknown exit, hardware reason "
    case .unknownExitReason: "KVM: unknown exit reason "
    case .runFailed: "error: kvm run failed "
    case .interrupt: "v="
    case .exceptionCheck: "check_exception old: "
    case .cpuReset: "CPU Reset (CPU "
    case .hardwareInterrupt: "Servicing hardware INT="
    case .virtualInterrupt: "Servicing virtual hardware INT="
    case .tripleFault: "Triple fault"
    case .smmEntered: "SMM: enter"
    case .smmLeft: "SMM: after RSM"
    case .nestedExit: "vmexit("
    case .unsupportedFeature: "doesn't support requested feature: "
    case .unknownModel: "unable to find CPU model '"
    case .globalNotApplied: "can't apply global "
    case .outsideMemory: "Trying to execute code outside RAM or ROM at "
    case .fatal: "qemu: fatal: "
    case .registersRefused: "Failed to put registers "
    case .unhandledExit: "kvm: unhandled exit "
    case .oldInternalError: "KVM internal error.Suberror: "
    case .otherInternalError: "KVM_EXIT_INTERNAL_ERROR"
    case .otherRunFailed: "vcpu hit unknown error: "
    case .monitorRunFailed: "Failure during vcpu run: "
    case .failEntry: "FailEntry("
    case .failEntryExit: "KVM_EXIT_FAIL_ENTRY"
    case .failEntryReason: "hardware_entry_failure_reason"
    }
  }

  private static let byFirstByte: [[Phrase]] = {
    var table = [[Phrase]](repeating: [], count: 256)
    for phrase in allCases {
      let first = phrase.text.withUTF8Buffer { unsafe $0.first }
      if let first { table[Int(first)].append(phrase) }
    }
    return table
  }()

  /// The first phrase in the line at the beginning of a word, and what stands before and after it.
  static func find(in line: LogLine) -> (phrase: Phrase, before: ArraySlice<UInt8>, rest: LineScanner)? {
    var isInWord = false
    for index in line.bytes.indices {
      let byte = line.bytes[index]
      defer { isInWord = Byte.isWord(byte) }
      guard !isInWord, !byFirstByte[Int(byte)].isEmpty else { continue }
      for phrase in byFirstByte[Int(byte)] {
        var scanner = LineScanner(line.bytes[index...])
        if scanner.skip(phrase.text) { return (phrase, line.bytes[..<index], scanner) }
      }
    }
    return nil
  }
}

extension QEMUMessage {
  /// The message that a line begins; nil for every other line.
  ///
  /// KVM's messages are those of `accel/kvm/kvm-all.c: kvm_cpu_exec` and `target/i386/kvm/kvm.c:
  /// kvm_arch_handle_exit`, 7.2.
  init?(_ line: LogLine) {
    guard let (phrase, before, scanner) = Phrase.find(in: line) else { return nil }
    var rest = scanner
    let message: Self? =
      switch phrase {
      case .internalError, .oldInternalError: rest.decimal().map { .kvmInternalError(KVMInternalError(suberror: $0)) }
      case .otherInternalError: Self.otherInternalError(&rest)
      case .notifyExit: .kvmNotifyExit
      case .entryFailed: rest.prefixedHex().map { .kvmEntryFailed(hardwareError: $0) }
      case .failEntry, .failEntryReason: Self.failedEntry(&rest)
      case .failEntryExit: rest.skip(past: "reason") ? Self.failedEntry(&rest) : nil
      case .exceptionExit: Self.exceptionExit(&rest)
      case .unknownExit: rest.prefixedHex().map { .kvmUnknownExit(hardwareReason: $0) }
      case .unknownExitReason: rest.decimal().map { .kvmUnknownExitReason($0) }
      // Firecracker src/vmm/src/vstate/vcpu.rs: run_emulation, and libkrun: strerror's words, then `(os error 14)`.
      case .monitorRunFailed: .kvmRunFailed(Self.withoutNumber(rest.text()))
      // crosvm src/crosvm/sys/linux/vcpu.rs: vcpu_loop.
      case .runFailed, .otherRunFailed: .kvmRunFailed(rest.text())
      case .interrupt: InterruptLog(&rest, before: before).map { .interrupt($0) }
      case .exceptionCheck: Self.exceptionCheck(&rest)
      case .cpuReset: rest.decimal().map { .cpuReset(cpu: $0) }
      case .hardwareInterrupt: Self.hardwareInterrupt(&rest, isVirtual: false)
      case .virtualInterrupt: Self.hardwareInterrupt(&rest, isVirtual: true)
      // The QEMU of MIT's course 6.828 says more (target-i386/excp_helper.c, 1.7 to 2.3).
      case .tripleFault: rest.isAtEnd || rest.skip(".  Halting for inspection") ? .tripleFault : nil
      case .smmEntered: rest.isAtEnd ? .smmEntered : nil
      case .smmLeft: rest.isAtEnd ? .smmLeft : nil
      case .nestedExit: Self.nestedExit(&rest)
      case .unsupportedFeature: UnsupportedFeature(rest.text(), before: before).map { .unsupportedFeature($0) }
      case .unknownModel: .unknownCPUModel(rest.text(until: UInt8(ascii: "'")))
      case .globalNotApplied: Self.globalNotApplied(rest.text())
      case .outsideMemory:
        rest.prefixedHex().map { .executionOutsideMemory(address: $0, program: Self.program(before: before)) }
      case .fatal: Self.fatal(&rest)
      case .registersRefused: Self.registersRefused(&rest)
      case .unhandledExit: rest.prefixedHex().map(Self.unhandledExit)
      }
    guard let message else { return nil }
    self = message
  }

  /// The number of KVM_EXIT_FAIL_ENTRY as other monitors than QEMU print it, hexadecimal with 0x or decimal: Firecracker's `Received
  /// KVM_EXIT_FAIL_ENTRY signal with reason: 0x80000021`, the `FailEntry(2147483681, 0)` of the crate kvm-ioctls, and whatever names the
  /// field of struct kvm_run. Zero is more likely a program's text than a report.
  private static func failedEntry(_ rest: inout LineScanner) -> Self? {
    while let byte = rest.rest.first, !Byte.isWord(byte) { rest.skipByte() }
    var hexadecimal = rest
    let number = hexadecimal.skip("0x") ? hexadecimal.hex()?.value : rest.decimal().map { UInt64($0) }
    return number.flatMap { $0 == 0 ? nil : .kvmEntryFailed(hardwareError: $0) }
  }

  /// `KVM_EXIT_INTERNAL_ERROR suberror=1`, as small monitors print the fields of struct kvm_run.
  private static func otherInternalError(_ rest: inout LineScanner) -> Self? {
    guard rest.skip(past: "suberror") else { return nil }
    while let byte = rest.rest.first, !Byte.isWord(byte) { rest.skipByte() }
    var hexadecimal = rest
    let number = hexadecimal.skip("0x") ? hexadecimal.hex().flatMap { Int(exactly: $0.value) } : rest.decimal()
    return number.flatMap { $0 == 0 ? nil : .kvmInternalError(KVMInternalError(suberror: $0)) }
  }

  /// What qemu-kvm before 1.0 printed of a failed entry and of an unknown exit alike (qemu-kvm-x86.c: handle_unhandled): a failed entry
  /// has bit 31, or is a VM-instruction error, which are odd as exit reasons that KVM does not know.
  private static func unhandledExit(_ number: UInt64) -> Self {
    number >> 31 & 1 == 1 || [7, 8].contains(number)
      ? .kvmEntryFailed(hardwareError: number) : .kvmUnknownExit(hardwareReason: number)
  }

  private static func nestedExit(_ rest: inout LineScanner) -> Self? {
    guard let code = rest.hex(), rest.skip(", "), rest.hex() != nil, rest.skip(", "), rest.hex() != nil,
      rest.skip(", "), let pointer = rest.hex(), rest.skip(")!")
    else { return nil }
    return .nestedExit(code: code.value, instructionPointer: pointer.value)
  }

  private static func exceptionExit(_ rest: inout LineScanner) -> Self? {
    guard let number = rest.decimal(), let vector = UInt8(exactly: number), rest.skip(" exit (error code "),
      let error = rest.prefixedHex().flatMap(UInt32.init(exactly:))
    else { return nil }
    return .kvmExceptionExit(vector: ExceptionVector(rawValue: vector), errorCode: error)
  }

  /// `old` is -1 printed as 32 bits where no exception was being delivered.
  private static func exceptionCheck(_ rest: inout LineScanner) -> Self? {
    guard let old = rest.prefixedHex(), rest.skip(" new "),
      let new = rest.prefixedHex().flatMap(UInt8.init(exactly:))
    else { return nil }
    return .exceptionCheck(
      old: UInt8(exactly: old).map(ExceptionVector.init(rawValue:)), new: ExceptionVector(rawValue: new))
  }

  private static func hardwareInterrupt(_ rest: inout LineScanner, isVirtual: Bool) -> Self? {
    guard let vector = rest.prefixedHex().flatMap(UInt8.init(exactly:)) else { return nil }
    return .hardwareInterrupt(vector: vector, isVirtual: isVirtual)
  }

  /// The reason follows the first colon that a blank follows: the property's value may hold colons.
  private static func globalNotApplied(_ text: String) -> Self {
    let bytes = Array(text.utf8)
    for index in bytes.indices.dropLast() where bytes[index] == UInt8(ascii: ":") && Byte.isBlank(bytes[index + 1]) {
      return .globalNotApplied(
        global: String(decoding: bytes[..<index], as: UTF8.self),
        reason: String(decoding: bytes[(index + 2)...], as: UTF8.self))
    }
    return .globalNotApplied(global: text, reason: "")
  }

  private static func fatal(_ rest: inout LineScanner) -> Self {
    var copy = rest
    if copy.skip(Phrase.outsideMemory.text), let address = copy.prefixedHex() {
      return .executionOutsideMemory(address: address, program: nil)
    }
    return .fatal(rest.text())
  }

  /// `qemu-system-i386: `, as QEMU begins its errors since 2.9.
  private static func program(before: ArraySlice<UInt8>) -> String? {
    let words = String(decoding: before, as: UTF8.self).split(separator: " ")
    return words.last.flatMap { $0.hasSuffix(":") ? String($0.dropLast()) : nil }
  }

  private static func withoutNumber(_ error: String) -> String {
    error.split(separator: "(").first.map { words in String(words.last == " " ? words.dropLast() : words) } ?? error
  }

  private static func registersRefused(_ rest: inout LineScanner) -> Self {
    let operation = rest.text(until: UInt8(ascii: ":"))
    rest.skipBlanks()
    return .registersRefused(operation: operation, error: rest.text())
  }
}
