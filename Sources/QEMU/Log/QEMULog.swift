public import X86

/// One thing QEMU said.
public struct QEMULogEntry: Hashable, Sendable {
  public var message: QEMUMessage
  /// The first and the last line of it, counted from 1.
  public var lines: ClosedRange<Int>

  public init(message: QEMUMessage, lines: ClosedRange<Int>) {
    self.message = message
    self.lines = lines
  }
}

/// What QEMU prints about a guest's death, on standard error, in its monitor and in its `-d` log.
public enum QEMUMessage: Hashable, Sendable {
  /// `KVM internal error. Suberror: 1`, with its data.
  case kvmInternalError(KVMInternalError)
  /// `KVM: entry failed, hardware error 0x80000021`: the processor refused to enter the guest.
  case kvmEntryFailed(hardwareError: UInt64)
  /// `KVM: exception 0 exit (error code 0x0)`.
  case kvmExceptionExit(vector: ExceptionVector, errorCode: UInt32)
  /// `KVM: unknown exit, hardware reason 31`.
  case kvmUnknownExit(hardwareReason: UInt64)
  /// `KVM: unknown exit reason 39`: a KVM_EXIT_* that this QEMU does not know.
  case kvmUnknownExitReason(Int)
  /// `error: kvm run failed Bad address`: the KVM_RUN ioctl failed; what strerror calls it.
  case kvmRunFailed(String)
  /// `KVM internal error: Encountered a notify exit with invalid context`.
  case kvmNotifyExit
  /// `Failed to put registers after init: Invalid argument`; what QEMU did, and what strerror calls the error.
  case registersRefused(operation: String, error: String)
  /// `warning: host doesn't support requested feature: CPUID.80000001H:EDX.pdpe1gb [bit 26]`.
  case unsupportedFeature(UnsupportedFeature)
  /// `unable to find CPU model 'haswell'`.
  case unknownCPUModel(String)
  /// `can't apply global Haswell-x86_64-cpu.nosuch=on: Property 'Haswell-x86_64-cpu.nosuch' not found`.
  case globalNotApplied(global: String, reason: String)
  /// A `v=0e e=0002 i=0 cpl=0 …` line of `-d int`.
  case interrupt(InterruptLog)
  /// `check_exception old: 0xffffffff new 0xe` of `-d int`; `old` is nil for 0xffffffff, none.
  case exceptionCheck(old: ExceptionVector?, new: ExceptionVector)
  /// `Triple fault` of `-d cpu_reset`.
  case tripleFault
  /// `CPU Reset (CPU 0)` of `-d cpu_reset`; the processor's registers follow.
  case cpuReset(cpu: Int)
  /// `Servicing hardware INT=0x20` of `-d int`.
  case hardwareInterrupt(vector: UInt8, isVirtual: Bool)
  /// `vmexit(ffffffff, 0000000000000000, f000ff53f000ff53, 000000000010000d)!` of `-d in_asm`: TCG leaves a nested guest, or means to where there
  /// is none (target/i386/tcg/sysemu/svm_helper.c: cpu_vmexit, 7.2).
  case nestedExit(code: UInt64, instructionPointer: UInt64)
  /// `SMM: enter` of `-d int`.
  case smmEntered
  /// `SMM: after RSM` of `-d int`.
  case smmLeft
  /// `qemu: fatal: …`: QEMU gives up, with a register dump.
  case fatal(String)
  /// `Trying to execute code outside RAM or ROM at 0x…`, after `qemu: fatal:` or the name of the program.
  case executionOutsideMemory(address: UInt64, program: String?)
  /// A register dump.
  case registerDump(RegisterDump)
  /// A command line that starts QEMU.
  case commandLine(RecordedCommandLine)
  /// A VMCS that kvm_intel printed into the host's log.
  case vmcs(VMCSDump)
  /// A VMCB that kvm_amd printed into the host's log.
  case vmcb(VMCBDump)
  /// What bhyve printed of an exit that it does not handle.
  case bhyveExit(BhyveExit)
  /// Instructions with their addresses, as a disassembler lists them.
  case codeListing(CodeListing)
  /// A Multiboot header that was printed beside the log.
  case multibootHeader(MultibootHeader)
  /// A symbol of an image, as nm lists it.
  case symbol(name: String, address: UInt64)
  /// /proc/cpuinfo or lscpu, of the host or of the guest.
  case processorListing(ProcessorListing)
  /// What a Linux kernel, the host's or the guest's, printed of its own registers.
  case linuxOops(LinuxOops)
  /// Another line of QEMU, of the host's kernel or of the guest's that bears on a death.
  case statement(Statement)
}

/// A log of QEMU: its standard error, its `-d` log, its monitor, or a text that somebody pasted one into.
public enum QEMULog {
  /// Finds what QEMU said in `text`, in order; everything else is passed over.
  public static func parse(_ text: some StringProtocol) -> [QEMULogEntry] { parse(utf8: Array(text.utf8)) }

  /// Finds what QEMU said in a text of any encoding that contains ASCII.
  ///
  /// - Parameter others: Lines that are known to be something else, counted from 1 by LF.
  public static func parse(utf8 text: [UInt8], leavingOut others: Set<Int> = []) -> [QEMULogEntry] {
    var parser = QEMULogParser()
    for line in LogLine.lines(of: text, leavingOut: others) { parser.take(line) }
    return parser.finish()
  }
}

/// Gives each line to those who may know it.
private struct QEMULogParser {
  private var entries: [QEMULogEntry] = []
  private var dumps = RegisterDumpParser()
  private var commands = CommandLineFinder()
  /// The line of the last interrupt, which may have been broken.
  private var brokenLine: LogLine?
  /// A dump in the form of qemu-kvm.
  private var oldDump: KVMShowRegs?
  /// The first words of a Linux kernel on what the account of its registers will be about, and their line.
  private var headline: (statement: Statement, line: Int)?
  /// The lines of a dump that has begun in QEMU's form, and may turn out to be another program's.
  private var linesOfDump: [LogLine] = []
  /// A dump of another program.
  private var printed = PrintedDumpParser()

  mutating func take(_ line: LogLine) {
    if takeCommandLine(line) || continueEntry(line) || takeOldDump(line) { return }
    if var message = QEMUMessage(line) ?? QEMUMessage(hostLog: line) {
      joinHeadline(&message, line.number)
      // Lines of a console or of the host's log may stand inside a dump, and so may another vCPU's error.
      switch message {
      case .statement: printed.hear(line)
      case .codeListing, .linuxOops: break
      case .kvmInternalError where dumps.isInside: dumps.takeForeign()
      default: endDump()
      }
      let entry = QEMULogEntry(message: message, lines: line.number...line.number)
      entries += [QEMULogEntry](repeating: entry, count: Self.count(of: message, in: line))
      if case .cpuReset(let cpu) = message { dumps.announce(cpu: cpu) }
      if case .interrupt = message { brokenLine = line }
      return
    }
    takeDump(line)
  }

  /// How many lines may stand between a headline and the account: the modules and the processor are named there.
  private static let longestHead = 16

  private mutating func joinHeadline(_ message: inout QEMUMessage, _ line: Int) {
    if let headline, line - headline.line > Self.longestHead { self.headline = nil }
    switch message {
    case .statement(let statement) where headline == nil && statement.isHeadlineOfOops: headline = (statement, line)
    case .linuxOops(var oops):
      oops.headline = headline?.statement
      message = .linuxOops(oops)
      headline = nil
    default: break
    }
  }

  /// Gives a line to QEMU's form of dumps first: others may have its names, but not its digits.
  private mutating func takeDump(_ line: LogLine) {
    let isOfBochs = line.bytes.contains(Byte.bar) && PrintedPairs.isOfBochs(line)
    if !isOfBochs, dumps.take(line) {
      printed.endDump()
      linesOfDump = linesOfDump.filter { $0.number >= dumps.firstLine ?? .max } + [line]
      if dumps.dropForeign() {
        for line in linesOfDump { _ = printed.take(line) }
        linesOfDump = []
      }
    } else if printed.take(line) {
      dumps.endDump()
    }
    collectDumps()
  }

  /// How many interrupts a line stands for: a log may be condensed to `234 Servicing hardware INT=0x59`, as by `uniq -c`, or with an x
  /// behind the number.
  private static func count(of message: QEMUMessage, in line: LogLine) -> Int {
    guard case .hardwareInterrupt = message else { return 1 }
    var scanner = LineScanner(line.bytes)
    guard let count = scanner.decimal(), scanner.skip(" x Servicing") || scanner.skip(" Servicing") else { return 1 }
    return min(max(count, 1), mostRepeated)
  }

  private static let mostRepeated = 1000

  mutating func finish() -> [QEMULogEntry] {
    endDump()
    printed.endDump()
    collectDumps()
    endOldDump()
    collectCommandLine(commands.finish())
    return entries.sorted { $0.lines.lowerBound < $1.lines.lowerBound }
  }

  /// Takes a line of a dump as qemu-kvm printed it.
  private mutating func takeOldDump(_ line: LogLine) -> Bool {
    if oldDump?.take(line) == true { return true }
    endOldDump()
    oldDump = KVMShowRegs(line)
    return oldDump != nil
  }

  private mutating func endOldDump() {
    guard let oldDump else { return }
    self.oldDump = nil
    entries.append(QEMULogEntry(message: .registerDump(oldDump.dump), lines: oldDump.dump.lines))
  }

  private mutating func takeCommandLine(_ line: LogLine) -> Bool {
    let (isTaken, finished) = commands.take(line)
    collectCommandLine(finished)
    if isTaken { endDump() }
    return isTaken
  }

  private mutating func collectCommandLine(_ found: CommandLineFinder.Found?) {
    guard let found else { return }
    entries.append(QEMULogEntry(message: .commandLine(found.commandLine), lines: found.lines))
  }

  /// How many lines of others may stand between two of a VMCS or VMCB.
  private static let mostForeignLines = 8

  /// Adds to the last entry what its next lines say.
  private mutating func continueEntry(_ line: LogLine) -> Bool {
    guard let last = entries.indices.last, line.number >= entries[last].lines.upperBound else { return false }
    let distance = line.number - entries[last].lines.upperBound
    switch entries[last].message {
    case .kvmInternalError(var error):
      guard distance <= 2, error.takeContinuation(line) else { return false }
      entries[last].message = .kvmInternalError(error)
    case .interrupt(let interrupt):
      // An empty line may stand between, or the line itself have been of two.
      guard distance <= 2, interrupt.cr2 == nil, interrupt.rax == nil, let start = brokenLine,
        let whole = InterruptLog.joining(start, line)
      else { return false }
      brokenLine = nil
      entries[last].message = .interrupt(whole)
    case .vmcs(var dump):
      guard distance <= Self.mostForeignLines, dump.take(line) else { return false }
      entries[last].message = .vmcs(dump)
    case .vmcb(var dump):
      guard distance <= Self.mostForeignLines, dump.take(line) else { return false }
      entries[last].message = .vmcb(dump)
    case .bhyveExit(var exit):
      guard distance <= 1, exit.take(line) else { return false }
      entries[last].message = .bhyveExit(exit)
    case .linuxOops(var oops):
      guard distance <= Self.mostForeignLines, oops.take(line) else { return false }
      entries[last].message = .linuxOops(oops)
    case .codeListing(var listing):
      guard distance <= 1, listing.take(line) else { return false }
      entries[last].message = .codeListing(listing)
    case .multibootHeader(var header):
      guard distance <= 1, header.take(line) else { return false }
      entries[last].message = .multibootHeader(header)
    case .processorListing(var listing):
      guard distance <= 1, listing.take(line) else { return false }
      entries[last].message = .processorListing(listing)
    default: return false
    }
    entries[last].lines = entries[last].lines.lowerBound...line.number
    return true
  }

  private mutating func endDump() {
    dumps.endDump()
    collectDumps()
  }

  private mutating func collectDumps() {
    guard !dumps.finished.isEmpty || !printed.finished.isEmpty else { return }
    for dump in dumps.takeFinished() + printed.takeFinished() {
      entries.append(QEMULogEntry(message: .registerDump(dump), lines: dump.lines))
    }
  }
}

extension QEMUMessage {
  /// What a line of a host's log, or of what people paste beside one, begins or says.
  fileprivate init?(hostLog line: LogLine) {
    if let listing = CodeListing(line) {
      self = .codeListing(listing)
    } else if let symbol = QEMUMessage(symbol: line) {
      self = symbol
    } else if Self.hasWords(line), let words = QEMUMessage(words: line) {
      self = words
    } else {
      return nil
    }
  }

  /// Whether a line has letters beyond those of hexadecimal numbers, which the many lines of register dumps have not.
  private static func hasWords(_ line: LogLine) -> Bool { line.bytes.contains { (0x67...0x7A).contains($0) } }

  private init?(words line: LogLine) {
    if VMCSDump.begins(line) {
      self = .vmcs(VMCSDump())
    } else if VMCBDump.begins(line) {
      self = .vmcb(VMCBDump())
    } else if let exit = BhyveExit(line) {
      self = .bhyveExit(exit)
    } else if let oops = LinuxOops(line) {
      self = .linuxOops(oops)
    } else if let header = MultibootHeader(line) {
      self = .multibootHeader(header)
    } else if let listing = ProcessorListing(line) {
      self = .processorListing(listing)
    } else if let statement = Statement(line) {
      self = .statement(statement)
    } else {
      return nil
    }
  }
}

extension QEMUMessage {
  /// `0000000000101000 d p4_table`: 16 digits, a letter, a name (nm, POSIX.1-2017).
  fileprivate init?(symbol line: LogLine) {
    var scanner = LineScanner(line.bytes)
    guard let address = scanner.hex(), address.digits == 16, scanner.skip(" "), let kind = scanner.rest.first,
      (0x61...0x7A).contains(kind | 0x20)
    else { return nil }
    scanner.skipByte()
    guard scanner.skip(" ") else { return nil }
    let name = scanner.text()
    guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: " ")) else { return nil }
    self = .symbol(name: name, address: address.value)
  }
}
