import Glibc
import QEMU
import SystemPackage

/// A running QEMU and all that is heard of it: its control socket, its standard error, its log, its end.
///
/// One thread waits for all of them at once, so that nothing QEMU says can block it while another thing is awaited.
final class QEMUSession: QMPSession {
  /// How much of the log is kept, in bytes. A guest that runs into a logged address again and again slows down by logging: after four times this
  /// the registers are logged at resets only.
  static let usualLog = 1 << 20
  /// The same where code is listed; some 60 bytes an instruction, of which each is listed once or a few times.
  static let plentyOfCode = 16 << 20

  /// What there is to react to.
  enum Activity {
    case event(QMPEvent)
    case ended(ProcessEnd)
    case interrupted(signal: Int32)
    case deadlinePassed
    /// QEMU runs and can no longer be spoken to.
    case controlLost
  }

  let process: ChildProcess
  private(set) var standardError: ByteTail
  private(set) var log: ByteTail
  /// Empty where standard output is this process's.
  private(set) var standardOutput: ByteTail
  private let signals: InterruptSignals
  private let forwardsErrors: Bool

  let control: QMPChannel
  private var errorPipe: OwnedDescriptor?
  private var outputPipe: OwnedDescriptor?
  private var logPipe: OwnedDescriptor?
  private var pendingSignals: [Int32] = []
  private var signalCount = 0
  private var isLogReduced = false
  /// While interrupts are logged: what the log had since.
  private var isLoggingInterrupts = false
  private(set) var interruptLog: ByteTail
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)

  init(
    process: ChildProcess, control: OwnedDescriptor, standardOutput: OwnedDescriptor?, standardError: OwnedDescriptor,
    log: OwnedDescriptor?, keepingOfLog logSize: Int = usualLog, signals: InterruptSignals, forwardsErrors: Bool
  ) {
    self.process = process
    self.control = QMPChannel(control)
    self.outputPipe = standardOutput
    self.errorPipe = standardError
    self.logPipe = log
    self.signals = signals
    self.forwardsErrors = forwardsErrors
    self.standardOutput = ByteTail(limit: 64 << 10)
    self.standardError = ByteTail(limit: 256 << 10)
    self.log = ByteTail(limit: logSize)
    self.interruptLog = ByteTail(limit: 1 << 20)
  }

  /// The next thing to react to; waits for it.
  ///
  /// - Parameter deadline: nil waits without limit.
  func next(until deadline: ContinuousClock.Instant?) -> Activity {
    while true {
      if let event = control.takeEvent() { return .event(event) }
      if let end = process.end { return .ended(end) }
      if !pendingSignals.isEmpty { return .interrupted(signal: pendingSignals.removeFirst()) }
      if let deadline, deadline <= .now { return .deadlinePassed }
      if control.socket == nil { return awaitEnd(within: .seconds(5)).map { .ended($0) } ?? .controlLost }
      hear(until: deadline)
    }
  }

  /// Whether a signal has asked for the end.
  var hasSignal: Bool { !pendingSignals.isEmpty }

  /// That signal, if one came.
  func takeSignal() -> Int32? { pendingSignals.isEmpty ? nil : pendingSignals.removeFirst() }

  var hasEnded: Bool { process.end != nil }

  var greeting: QEMUVersion? { control.greeting }

  /// Waits for the greeting; false when QEMU ended, a signal came, or QEMU is silent for `time`.
  func awaitGreeting(within time: Duration) -> Bool {
    _ = hear(within: time) { greeting != nil || hasSignal }
    return greeting != nil
  }

  /// Waits for an event of this name and takes it out; false when it does not come in time.
  func awaitEvent(_ name: String) -> Bool {
    hear(within: qemuAnswerTime) { control.takeEvent(named: name) }
  }

  /// Ends QEMU: by its own quit, then SIGTERM, then SIGKILL, each given a few seconds.
  func terminate(asking: Bool = true) -> ProcessEnd {
    if asking { _ = try? execute(.quit, within: .seconds(3)) }
    for signal in [nil, SIGTERM, SIGKILL] where asking || signal != nil {
      if let signal { process.send(signal) }
      if let end = awaitEnd(within: .seconds(3)) { return end }
    }
    return awaitEnd()
  }

  /// Ends a QEMU that does not answer: what serves its sockets would also have to serve SIGTERM.
  func kill() -> ProcessEnd {
    process.send(SIGKILL)
    return awaitEnd()
  }

  private func awaitEnd() -> ProcessEnd {
    while true {
      if let end = process.end { return end }
      hear(until: nil)
    }
  }

  /// Waits for QEMU's end; nil when it does not come within `time`.
  func awaitEnd(within time: Duration) -> ProcessEnd? {
    let deadline = ContinuousClock.now + time
    while process.end == nil, deadline > .now { hear(until: deadline) }
    return process.end
  }

  // MARK: Hearing

  /// Waits until something is heard, and takes it in.
  func hear(until deadline: ContinuousClock.Instant?) {
    var waits: [pollfd] = []
    for source in [control.socket, outputPipe, errorPipe, logPipe, process.exitDescriptor, signals.descriptor] {
      guard let source else { continue }
      waits.append(pollfd(fd: source.descriptor.rawValue, events: Int16(POLLIN), revents: 0))
    }
    waitForAny(&waits, until: deadline)
    // The end is asked for first and the streams are read after it: what QEMU wrote last is then complete.
    _ = process.hasEnded()
    outputPipe.drain(through: &buffer) { standardOutput.append($0) }
    hearStandardError()
    hearLog()
    control.hear()
    while let signal = signals.next() { take(signal) }
  }

  /// The first signal lets QEMU and its guest be asked. Who sends a second one waits for that no longer, and QEMU may not even be able to
  /// answer, as where it was stopped: whatever waits for it then finds it gone.
  private func take(_ signal: Int32) {
    pendingSignals.append(signal)
    signalCount += 1
    if signalCount > 1 { process.send(SIGKILL) }
  }

  private func hearStandardError() {
    errorPipe.drain(through: &buffer) { bytes in
      standardError.append(bytes)
      if forwardsErrors { _ = try? FileDescriptor.standardError.writeAll(bytes) }
    }
  }

  /// Forgets what the log had so far.
  func forgetLog() { log = ByteTail(limit: log.limit) }

  /// Has TCG log its exceptions and interrupts for a moment, into ``interruptLog``; only where the log is this session's.
  ///
  /// - Parameter items: What is logged otherwise.
  func logInterrupts(for time: Duration, thenOnly items: String) {
    guard logPipe != nil else { return }
    interruptLog = ByteTail(limit: interruptLog.limit)
    isLoggingInterrupts = true
    _ = monitor("log int,cpu_reset")
    _ = hear(within: time) { false }
    _ = monitor("log \(isLogReduced ? "cpu_reset" : items)")
    hearLog()
    isLoggingInterrupts = false
    // A guest that died meanwhile is judged by its log.
    if String(decoding: interruptLog.bytes, as: UTF8.self).contains("Triple fault") {
      log.append(interruptLog.bytes[...])
    }
  }

  private var mostLogged: Int { max(log.limit, 4 * Self.usualLog) }

  private func hearLog() {
    if isLoggingInterrupts { return logPipe.drain(through: &buffer) { interruptLog.append($0) } }
    logPipe.drain(through: &buffer) { log.append($0) }
    guard log.total > mostLogged, !isLogReduced else { return }
    isLogReduced = true
    control.sendUnanswered(.monitor("log cpu_reset"))
  }
}
