import QEMU
import SystemPackage

/// The control socket of a QEMU that somebody else started.
final class QMPConnection: QMPSession, LiveConnection {
  let control: QMPChannel
  private(set) var stateFound = RunState.running
  private let version: QEMUVersion
  /// Whether the guest ran and stands still only for this connection.
  private var isFrozen = false

  var hasEnded: Bool { control.socket == nil }

  init(_ address: SocketAddress, within time: Duration) throws(LiveGuestError) {
    let channel = QMPChannel(try address.connect(.qmp, within: time))
    let deadline = ContinuousClock.now + time
    while channel.greeting == nil, let socket = channel.socket, deadline > .now {
      _ = socket.descriptor.waitUntil(.readable, deadline)
      channel.hear()
    }
    guard let version = channel.greeting else {
      throw channel.socket == nil ? .notSpoken(address, .qmp) : .silent(address, .qmp)
    }
    control = channel
    self.version = version
    guard (try? execute(.capabilities)) != nil else { throw .notSpoken(address, .qmp) }
    stateFound = try runState()
  }

  deinit { thaw() }

  func hear(until deadline: ContinuousClock.Instant?) {
    _ = control.socket?.descriptor.waitUntil(.readable, deadline)
    control.hear()
    // Nothing that happens is waited for here.
    while control.takeEvent() != nil {}
  }

  private func runState() throws(LiveGuestError) -> RunState {
    let status = try perform(.queryStatus, doing: "telling whether the guest runs")
    return RunState(rawValue: status["status"]?.string ?? "unknown")
  }

  func freeze() throws(LiveGuestError) {
    stateFound = try runState()
    guard stateFound == .running else { return }
    _ = try perform(.stop, doing: "stopping the guest")
    isFrozen = true
  }

  func thaw() {
    guard isFrozen else { return }
    isFrozen = false
    _ = try? execute(.cont)
  }

  func monitor(_ line: String) throws(LiveGuestError) -> String {
    try perform(.monitor(line), doing: line).string ?? ""
  }

  func page(at address: UInt64) -> [UInt8]? {
    MonitorPages { line in (try? self.execute(.monitor(line)))?.string }.page(at: address)
  }

  func identity() throws(LiveGuestError) -> GuestIdentity { GuestIdentity(asking: self, version: version) }

  func process(running threads: [Int32]) -> QEMUProcess? {
    control.socket.flatMap { QEMUProcess(peerOf: $0.descriptor, vcpuThreads: threads) }
  }

  private func perform(_ command: QMPCommand, doing what: String) throws(LiveGuestError) -> JSONValue {
    do throws(QMPRefusal) {
      return try execute(command)
    } catch {
      switch error {
      case .refused(let failure): throw .refused(doing: what, explanation: failure.explanation)
      case .gone, .silent: throw .lost(doing: what)
      }
    }
  }
}
