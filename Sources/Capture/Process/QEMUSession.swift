import Glibc
import QEMU
import SystemPackage

/// A running QEMU and all that is heard of it: its control socket, its standard error, its log, its end.
///
/// One thread waits for all of them at once, so that nothing QEMU says can block it while another thing is awaited.
final class QEMUSession {
  /// How long QEMU may take to answer while its guest stands still.
  static let answerTime = Duration.seconds(10)

  /// A guest that runs into a logged address again and again slows down by logging: after this much the registers are
  /// logged at resets only.
  private static let plentyOfLog = 4 << 20
  /// More events than any QEMU has waiting.
  private static let maximumEvents = 100_000

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
  private let signals: InterruptSignals
  private let forwardsErrors: Bool

  private var control: OwnedDescriptor?
  private var errorPipe: OwnedDescriptor?
  private var logPipe: OwnedDescriptor?
  private var decoder = QMPDecoder()
  private var events: [QMPEvent] = []
  private var pendingSignals: [Int32] = []
  /// The answer to the last command.
  private var reply: Result<JSONValue, QMPFailure>?
  private(set) var greeting: QEMUVersion?
  private var lastCommand: UInt64 = 0
  private var isLogReduced = false
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)

  init(
    process: ChildProcess, control: OwnedDescriptor, standardError: OwnedDescriptor, log: OwnedDescriptor?,
    signals: InterruptSignals, forwardsErrors: Bool
  ) {
    self.process = process
    self.control = control
    self.errorPipe = standardError
    self.logPipe = log
    self.signals = signals
    self.forwardsErrors = forwardsErrors
    self.standardError = ByteTail(limit: 256 << 10)
    self.log = ByteTail(limit: 1 << 20)
  }

  /// The next thing to react to; waits for it.
  ///
  /// - Parameter deadline: nil waits without limit.
  func next(until deadline: ContinuousClock.Instant?) -> Activity {
    while true {
      if !events.isEmpty { return .event(events.removeFirst()) }
      if let end = process.end { return .ended(end) }
      if !pendingSignals.isEmpty { return .interrupted(signal: pendingSignals.removeFirst()) }
      if let deadline, deadline <= .now { return .deadlinePassed }
      if control == nil { return awaitEnd(within: .seconds(5)).map { .ended($0) } ?? .controlLost }
      hear(until: deadline)
    }
  }

  /// Whether a signal has asked for the end.
  var hasSignal: Bool { !pendingSignals.isEmpty }

  /// That signal, if one came.
  func takeSignal() -> Int32? { pendingSignals.isEmpty ? nil : pendingSignals.removeFirst() }

  /// Sends a command and waits for its answer.
  func execute(_ command: QMPCommand, within time: Duration = answerTime) throws(QMPRefusal) -> JSONValue {
    lastCommand += 1
    reply = nil
    try send(command.encoded(id: lastCommand))
    let deadline = ContinuousClock.now + time
    while true {
      switch reply {
      case .success(let value): return value
      case .failure(let failure): throw .refused(failure)
      case nil: break
      }
      if control == nil || process.end != nil { throw .gone }
      if deadline <= .now { throw .silent }
      hear(until: deadline)
    }
  }

  /// The text that a command of the human monitor prints; nil where QEMU does not answer.
  func monitor(_ line: String) -> String? {
    (try? execute(.monitor(line)))?.string
  }

  /// Waits for the greeting; false when QEMU ended or is silent for `time`.
  func awaitGreeting(within time: Duration) -> Bool {
    let deadline = ContinuousClock.now + time
    while greeting == nil {
      if control == nil || process.end != nil || !pendingSignals.isEmpty || deadline <= .now { return false }
      hear(until: deadline)
    }
    return true
  }

  /// Waits for an event of this name and takes it out; false when it does not come within `time`.
  func awaitEvent(_ name: String, within time: Duration = answerTime) -> Bool {
    let deadline = ContinuousClock.now + time
    while true {
      if let index = events.firstIndex(where: { $0.name == name }) {
        events.remove(at: index)
        return true
      }
      if control == nil || process.end != nil || deadline <= .now { return false }
      hear(until: deadline)
    }
  }

  /// Ends QEMU: by its own quit, then SIGTERM, then SIGKILL, each given a few seconds.
  func terminate(asking: Bool = true) -> ProcessEnd {
    if asking { _ = try? execute(.quit, within: .seconds(3)) }
    for signal in [nil, SIGTERM, SIGKILL] where asking || signal != nil {
      if let signal { process.send(signal) }
      if let end = awaitEnd(within: .seconds(3)) { return end }
    }
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

  private func send(_ bytes: [UInt8]) throws(QMPRefusal) {
    guard let control else { throw .gone }
    // The array's storage is read during the call. A command is far shorter than a socket's buffer: one call takes it
    // whole, or QEMU has not read for a long time.
    let sent = unsafe bytes.withUnsafeBytes { bytes in
      unsafe Glibc.send(
        control.descriptor.rawValue, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
    }
    if sent == bytes.count { return }
    throw sent < 0 && errno == EPIPE ? .gone : .silent
  }

  // MARK: Hearing

  /// Waits until something is heard, and takes it in.
  private func hear(until deadline: ContinuousClock.Instant?) {
    var waits: [pollfd] = []
    for source in [control, errorPipe, logPipe, process.exitDescriptor, signals.descriptor] {
      guard let source else { continue }
      waits.append(pollfd(fd: source.descriptor.rawValue, events: Int16(POLLIN), revents: 0))
    }
    // poll reads and fills the array's elements.
    _ = unsafe poll(&waits, nfds_t(waits.count), milliseconds(until: deadline))
    // The end is asked for first and the streams are read after it: what QEMU wrote last is then complete.
    _ = process.hasEnded()
    hearStandardError()
    hearLog()
    hearControl()
    while let signal = signals.next() { pendingSignals.append(signal) }
  }

  private func milliseconds(until deadline: ContinuousClock.Instant?) -> CInt {
    guard let deadline else { return -1 }
    let left = (deadline - .now).components
    guard left.seconds >= 0, left.attoseconds >= 0 else { return 0 }
    return CInt(min(left.seconds, 3600)) * 1000 + CInt(left.attoseconds / 1_000_000_000_000_000) + 1
  }

  private func hearStandardError() {
    drain(&errorPipe) { bytes in
      standardError.append(bytes)
      if forwardsErrors { _ = try? FileDescriptor.standardError.writeAll(bytes) }
    }
  }

  /// Forgets what the log had so far.
  func forgetLog() { log = ByteTail(limit: log.limit) }

  private func hearLog() {
    drain(&logPipe) { log.append($0) }
    guard log.total > Self.plentyOfLog, !isLogReduced else { return }
    isLogReduced = true
    // Nobody waits for this answer: its id is that of no command.
    try? send(QMPCommand.monitor("log cpu_reset").encoded(id: 0))
  }

  private func hearControl() {
    var isUsable = true
    drain(&control) { decoder.receive($0) }
    do throws(QMPProtocolError) {
      while let message = try decoder.next() { take(message) }
    } catch {
      isUsable = false
    }
    // A stream that is not QMP, or that floods, is heard no more; QEMU is then ended as one that does not answer.
    if !isUsable || events.count > Self.maximumEvents { control = nil }
  }

  private func take(_ message: QMPMessage) {
    switch message {
    case .greeting(let version): greeting = version
    case .event(let event): events.append(event)
    // An answer to a command that is no longer waited for is not kept.
    case .reply(let id, let value): if id == lastCommand { reply = .success(value) }
    case .failure(let id, let failure): if id == lastCommand { reply = .failure(failure) }
    }
  }

  /// Reads what has arrived, in portions, but not for ever from a source that never stops.
  private func drain(_ source: inout OwnedDescriptor?, _ take: (ArraySlice<UInt8>) -> Void) {
    for _ in 0..<64 {
      guard let open = source else { return }
      switch open.descriptor.readArrived(into: &buffer) {
      case .bytes(let bytes): take(bytes)
      case .nothingYet: return
      case .end: source = nil
      }
    }
  }
}

/// Why a command has no answer.
enum QMPRefusal: Error, Hashable {
  case refused(QMPFailure)
  /// QEMU has ended or closed its control socket.
  case gone
  /// QEMU did not answer in time.
  case silent
}

extension QEMUSession {
  /// The 4 KiB at `address`, which must be memory; nil where the monitor does not give them.
  func physicalPage(at address: UInt64) -> [UInt8]? {
    guard let text = monitor("xp /512gx 0x" + String(address, radix: 16)) else { return nil }
    guard let bytes = bytesOfMonitorDump(text), bytes.count == 4096 else { return nil }
    return bytes
  }
}
