import QEMU
import X86

/// What a Linux kernel that panicked left in its log, somewhere in its own image: the log's first buffer is a static one
/// (kernel/printk/printk.c: __log_buf, 3.5 to 6.19).
///
/// `panic()` begins its message with these words (Linux kernel/panic.c, 2.4 to 6.19). The format itself is in every kernel's
/// memory, with a `%` behind them.
struct PanicMessage {
  let text: String
  let address: PhysicalAddress
  /// The kernel's lines up to the message; nil where no record of its log was found.
  let log: KernelLog?

  private static let prefix = Array("Kernel panic - not syncing: ".utf8)
  private static let longestMessage = 160
  /// How many copies are looked at as records of the log.
  private static let mostCopies = 32

  /// The shortest of the messages in the image: there are several copies, and some have the end of another text behind.
  init?(_ search: LinuxImageSearch, longSize: Int, in memory: any PhysicalMemory) {
    var best: (text: String, address: UInt64)?
    var copies: [UInt64] = []
    search.forEach(of: [Self.prefix]) { _, address, before, behind in
      let line = Self.line(behind.prefix(Self.longestMessage), isRecord: before == 0)
      guard line.utf8.count > 3, !line.hasPrefix("%") else { return }
      let text = line.hasSuffix(" ]---") ? String(line.dropLast(5)) : line
      if text.utf8.count < best?.text.utf8.count ?? .max { best = (text, address) }
      if copies.count < Self.mostCopies { copies.append(address) }
    }
    guard let best else { return nil }
    (text, address) = (best.text, PhysicalAddress(best.address))
    // What is found is noted, for a case to have it.
    _ = try? memory.bytes(at: address, count: Self.prefix.count + Self.longestMessage)
    log = copies.lazy.compactMap { KernelLog(endingAt: PhysicalAddress($0), longSize: longSize, in: memory) }.first
  }

  /// A line of the kernel up to its end.
  ///
  /// In a record of the log (since 5.10) the two bytes of KERN_EMERG were moved over, and the newline was not counted: behind the text are
  /// its last two characters again, and that newline (kernel/printk/printk.c: printk_sprint, 6.1; seen of Debian's).
  ///
  /// - Parameter isRecord: Whether the text begins a record, behind its number, rather than standing in a line that was printed.
  static func line(_ bytes: ArraySlice<UInt8>, isRecord: Bool) -> String {
    var line = bytes.prefix { (0x20...0x7E).contains($0) }
    let isRepeated = line.count > 4 && line.suffix(2) == line.dropLast(2).suffix(2)
    if isRecord, isRepeated, line.endIndex < bytes.endIndex, bytes[line.endIndex] == 0x0A { line = line.dropLast(2) }
    return String(decoding: line, as: UTF8.self)
  }
}

/// What a Linux kernel says of its end, in its log in memory.
struct LinuxAccount {
  /// That it panicked, and the message; nil where it says only that it met an error.
  let panic: Evidence?
  /// What it says of an error, before the panic or without one.
  let error: Evidence?
  /// The lines before the message, where they tell of no error.
  var lines: Evidence?

  /// What its log says but for the panic.
  var log: [Evidence] { [error, lines].compactMap(\.self) }
}

extension Scene {
  /// What a Linux kernel's log in memory says, of a guest that ended without a fault or stands still, or of which a file is examined.
  var linuxAccount: LinuxAccount? {
    switch ending {
    case .reset, .panicked, .timedOut, .paused, .stalled, .stopped, .unknown: break
    default: return nil
    }
    guard let memory else { return nil }
    return processors.lazy.compactMap { processor -> LinuxAccount? in
      var rules = rules(of: walker, for: processor.state)
      // No dump shows EFER or MAXPHYADDR. The kernel is only looked for here: it uses what it has found to be there.
      rules.executeDisableEnabled = rules.executeDisableEnabled ?? true
      rules.maximumPhysicalAddressBits = rules.maximumPhysicalAddressBits ?? 52
      guard let paging = Paging(processor.state, rules: rules),
        let search = LinuxImageSearch(of: processor.state, by: paging, in: memory)
      else { return nil }
      let longSize = processor.state.mode == .long64 ? 8 : 4
      if let message = PanicMessage(search, longSize: longSize, in: memory) { return LinuxAccount(message) }
      return KernelLog(ofErrorIn: search, longSize: longSize, memory: memory).flatMap(LinuxAccount.init)
    }.first
  }
}

extension LinuxAccount {
  fileprivate init(_ message: PanicMessage) {
    panic = Evidence(
      "The memory at physical \(message.address.rawValue.hexadecimal) holds the message of a Linux kernel that panicked: \"\(message.text)\"",
      .guestMemory)
    error = message.log?.wordsOfError.map { Evidence($0, .guestMemory) }
    lines = error == nil ? message.log?.lastLines.map { Evidence($0, .guestMemory) } : nil
  }

  /// Nil where the log tells of no error.
  fileprivate init?(_ log: KernelLog) {
    guard let words = log.wordsOfError else { return nil }
    (panic, error) = (nil, Evidence(words, .guestMemory))
  }
}

extension Scene {
  /// What a log alone says of a Linux kernel that panicked, if it says too that it ran in a virtual machine: it may be the host's otherwise.
  var linuxAccountInLog: LinuxAccount? {
    guard ending == .unknown, processors.isEmpty, trace.isEmpty,
      statement(.virtualHardware) != nil || statement(.hypervisorBelow) != nil,
      let panic = log.first(where: { $0.value.isPanic }), case .statement(let statement) = panic.value
    else { return nil }
    let error = Self.firstOops(in: log).flatMap { $0.0.isError ? Evidence($0.0.words, $0.1) : nil }
    return LinuxAccount(
      panic: Evidence("A Linux kernel in a virtual machine says: \"\(statement.text.prefix(160))\"", panic.source),
      error: error)
  }
}

extension QEMUMessage {
  /// Whether a line is a panic's first, not its end, which repeats the message.
  fileprivate var isPanic: Bool {
    guard case .statement(let statement) = self else { return false }
    return statement.kind == .guestPanic && !statement.isEndOfPanic
  }
}
