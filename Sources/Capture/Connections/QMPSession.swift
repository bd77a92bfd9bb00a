import QEMU

/// A QEMU that is spoken to over QMP.
protocol QMPSession: AnyObject {
  var control: QMPChannel { get }
  /// Whether QEMU has ended, as far as that can be known.
  var hasEnded: Bool { get }
  /// Waits until something is heard, and takes it in.
  func hear(until deadline: ContinuousClock.Instant?)
}

/// How long QEMU may take to answer while its guest stands still.
let qemuAnswerTime = Duration.seconds(10)

extension QMPSession {
  /// Sends a command and waits for its answer.
  func execute(_ command: QMPCommand, within time: Duration = qemuAnswerTime) throws(QMPRefusal) -> JSONValue {
    try control.begin(command)
    let deadline = ContinuousClock.now + time
    while true {
      if let value = try control.answer() { return value }
      if control.socket == nil || hasEnded { throw .gone }
      if deadline <= .now { throw .silent }
      hear(until: deadline)
    }
  }

  /// Hears until `condition` holds; false when QEMU ends or `time` passes before.
  func hear(within time: Duration, until condition: () -> Bool) -> Bool {
    let deadline = ContinuousClock.now + time
    while !condition() {
      if control.socket == nil || hasEnded || deadline <= .now { return false }
      hear(until: deadline)
    }
    return true
  }

  /// The text that a command of the human monitor prints; nil where QEMU does not answer.
  func monitor(_ line: String) -> String? {
    (try? execute(.monitor(line)))?.string
  }
}
