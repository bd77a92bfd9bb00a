import QEMU
import SystemPackage

/// The control socket of a QEMU that somebody else started.
final class QMPConnection: QMPSession {
  let control: QMPChannel
  var hasEnded: Bool { control.socket == nil }

  init(_ socket: OwnedDescriptor) { control = QMPChannel(socket) }

  func hear(until deadline: ContinuousClock.Instant?) {
    _ = control.socket?.descriptor.waitUntil(.readable, deadline)
    control.hear()
  }
}
