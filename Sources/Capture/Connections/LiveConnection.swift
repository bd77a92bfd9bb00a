import QEMU
import Synchronization
import SystemPackage

/// A way to a running QEMU.
protocol LiveConnection: AnyObject, PageReader {
  /// The state that the guest was in when it was last stopped or, before that, found.
  var stateFound: RunState { get }
  /// Stops the guest if it runs.
  func freeze() throws(LiveGuestError)
  /// Lets the guest go on if ``freeze()`` stopped it.
  func thaw()
  /// What a command of the human monitor prints.
  func monitor(_ line: String) throws(LiveGuestError) -> String
  func identity() throws(LiveGuestError) -> GuestIdentity
  /// The process at the other end, if it is of this host and runs these vCPU threads.
  func process(running threads: [Int32]) -> QEMUProcess?
}

/// A connection that the reading thread shares with the one that waits for Ctrl-C: one request at a time.
final class LiveControl: Sendable, PageReader {
  private let connection: Mutex<any LiveConnection>

  init(_ connection: sending any LiveConnection) { self.connection = Mutex(connection) }

  var stateFound: RunState { connection.withLock { $0.stateFound } }

  func freeze() throws(LiveGuestError) {
    try connection.withLock { connection throws(LiveGuestError) in try connection.freeze() }
  }

  func thaw() { connection.withLock { $0.thaw() } }

  func monitor(_ line: String) throws(LiveGuestError) -> String {
    try connection.withLock { connection throws(LiveGuestError) in try connection.monitor(line) }
  }

  func page(at address: UInt64) -> [UInt8]? { connection.withLock { $0.page(at: address) } }

  func identity() throws(LiveGuestError) -> GuestIdentity {
    try connection.withLock { connection throws(LiveGuestError) in try connection.identity() }
  }

  func process(running threads: [Int32]) -> QEMUProcess? { connection.withLock { $0.process(running: threads) } }
}

extension SocketAddress {
  func connect(_ kind: LiveGuestError.SocketKind, within time: Duration) throws(LiveGuestError) -> OwnedDescriptor {
    do throws(Errno) {
      return try connect(until: .now + time)
    } catch {
      throw error == .timedOut ? .silent(self, kind) : .cannotConnect(self, errno: error.rawValue)
    }
  }
}
