import Glibc
import QEMU
import SystemPackage

/// A human monitor of QEMU on a socket (`-monitor unix:PATH,server=on,wait=off`). The guest does not notice.
final class HMPConnection: WatchingConnection {
  private var socket: OwnedDescriptor?
  private var decoder = MonitorDecoder()
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)
  private(set) var stateFound = RunState.running
  /// Whether the guest ran and stands still only for this connection.
  private var isFrozen = false

  init(_ address: SocketAddress, within time: Duration) throws(LiveGuestError) {
    socket = try address.connect(.hmp, within: time)
    let greeting: String
    do throws(Refusal) {
      greeting = try answer(until: .now + time)
    } catch {
      throw error == .silent ? .silent(address, .hmp) : .notSpoken(address, .hmp)
    }
    // "QEMU 7.2.22 monitor - type 'help' for more information" (monitor/hmp.c: monitor_event, 7.2).
    guard greeting.hasPrefix("QEMU "), greeting.contains(" monitor ") else { throw .notSpoken(address, .hmp) }
    stateFound = try currentState()
  }

  deinit { thaw() }

  // MARK: Asking

  private enum Refusal: Error {
    /// QEMU has ended, closed the socket, or wrote what no monitor does.
    case gone
    /// Nothing came at all.
    case silent
  }

  private func answer(until deadline: ContinuousClock.Instant) throws(Refusal) -> String {
    var heardAny = false
    while true {
      do throws(MonitorProtocolError) {
        if let text = try decoder.next() { return text }
      } catch {
        socket = nil
      }
      guard let open = socket else { throw .gone }
      if deadline <= .now { throw heardAny ? .gone : .silent }
      _ = open.descriptor.waitUntil(.readable, deadline)
      socket.drain(through: &buffer) {
        heardAny = true
        decoder.receive($0)
      }
    }
  }

  func monitor(_ line: String) throws(LiveGuestError) -> String {
    guard let open = socket, open.descriptor.sendWhole(Array("\(line)\n".utf8)) else { throw .lost(doing: line) }
    do throws(Refusal) {
      return try answer(until: .now + qemuAnswerTime)
    } catch {
      // An answer that comes later would be taken for another's.
      socket = nil
      throw .lost(doing: line)
    }
  }

  func page(at address: UInt64) -> [UInt8]? {
    MonitorPages { line in try? self.monitor(line) }.page(at: address)
  }

  func process(running threads: [Int32]) -> QEMUProcess? {
    socket.flatMap { QEMUProcess(peerOf: $0.descriptor, vcpuThreads: threads) }
  }

  // MARK: Stopping

  func freeze() throws(LiveGuestError) {
    stateFound = try currentState()
    guard stateFound == .running else { return }
    _ = try monitor("stop")
    isFrozen = true
  }

  func thaw() {
    guard isFrozen else { return }
    isFrozen = false
    _ = try? monitor("cont")
  }

  // MARK: Watching

  var stopNotice: FileDescriptor? { nil }

  func resume() { thaw() }

  func currentState() throws(LiveGuestError) -> RunState {
    guard let state = RunState(monitorText: try monitor("info status")) else { throw .lost(doing: "info status") }
    return state
  }
}
