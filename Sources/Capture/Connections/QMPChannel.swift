import Glibc
import QEMU
import SystemPackage

/// QMP over one socket: commands go out, and what has come in is sorted. Nothing here waits.
final class QMPChannel {
  /// More events than any QEMU has waiting.
  private static let maximumEvents = 100_000

  /// Nil once the stream has ended or cannot be used.
  private(set) var socket: OwnedDescriptor?
  private(set) var greeting: QEMUVersion?
  private var decoder = QMPDecoder()
  private var events: [QMPEvent] = []
  private var lastCommand: UInt64 = 0
  /// The answer to the last command.
  private var reply: Result<JSONValue, QMPFailure>?
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)

  /// - Parameter socket: connected, and reading it does not block; nil where there is none.
  init(_ socket: OwnedDescriptor?) { self.socket = socket }

  /// Sends a command. An answer to one before it is not kept.
  func begin(_ command: QMPCommand) throws(QMPRefusal) {
    lastCommand += 1
    reply = nil
    try send(command.encoded(id: lastCommand))
  }

  /// Sends a command whose answer nobody waits for: its id is that of no command.
  func sendUnanswered(_ command: QMPCommand) {
    try? send(command.encoded(id: 0))
  }

  /// The answer to the last command; nil as long as there is none.
  func answer() throws(QMPRefusal) -> JSONValue? {
    switch reply {
    case .success(let value): return value
    case .failure(let failure): throw .refused(failure)
    case nil: return nil
    }
  }

  /// The oldest event that was not taken yet.
  func takeEvent() -> QMPEvent? { events.isEmpty ? nil : events.removeFirst() }

  /// Takes out the oldest event of this name; false if there is none.
  func takeEvent(named name: String) -> Bool {
    guard let index = events.firstIndex(where: { $0.name == name }) else { return false }
    events.remove(at: index)
    return true
  }

  private func send(_ bytes: [UInt8]) throws(QMPRefusal) {
    guard let socket else { throw .gone }
    // A command is far shorter than a socket's buffer: the kernel takes it whole, or QEMU has not read for a long time.
    if socket.descriptor.sendWhole(bytes) { return }
    throw errno == EPIPE || errno == ECONNRESET ? .gone : .silent
  }

  /// Takes in what has arrived.
  func hear() {
    var isUsable = true
    socket.drain(through: &buffer) { decoder.receive($0) }
    do throws(QMPProtocolError) {
      while let message = try decoder.next() { take(message) }
    } catch {
      isUsable = false
    }
    // A stream that is not QMP, or that floods, is heard no more.
    if !isUsable || events.count > Self.maximumEvents { socket = nil }
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
}

/// Why a command has no answer.
enum QMPRefusal: Error, Hashable {
  case refused(QMPFailure)
  /// QEMU has ended or closed its control socket.
  case gone
  /// QEMU did not answer in time.
  case silent
}
