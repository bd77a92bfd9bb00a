import CLinux
import Glibc
import QEMU
import SystemPackage

/// A QEMU that runs already: its end, what it can be asked by, and the signals of this process.
final class AttachedSession: QMPSession {
  private(set) var control = QMPChannel(nil)
  /// What QEMU is asked by where that is not QMP.
  private(set) var connection: (any WatchingConnection)?
  private(set) var hasEnded = false
  private let process: OwnedDescriptor
  private let signals: InterruptSignals
  private var pendingSignals: [Int32] = []

  init(process: Int32) throws(Errno) {
    self.process = try OwnedDescriptor(checking: clinux_pidfd_open(process))
    signals = try InterruptSignals()
  }

  // MARK: Connecting

  /// How long QEMU may take to accept a client.
  private static let connectionTime = Duration.seconds(2)

  /// Connects by the best way that QEMU has, and tells which and why no better one; a path that is not absolute begins where QEMU
  /// does.
  func connect(
    to commandLine: QEMUCommandLine, of process: Int32, _ means: inout AttachedGuest.Means
  ) -> GuestIdentity? {
    let debuggers = commandLine.gdbServers.filter { $0.hasPrefix("tcp:") || $0.hasPrefix("unix:") }.map { server in
      server.split(separator: ",").first.map(String.init) ?? server
    }
    let doors: [(AttachedGuest.Door, [String])] = [
      (.qmp, commandLine.qmpServers), (.monitor, commandLine.humanMonitorServers), (.gdbstub, debuggers),
    ]
    for (door, servers) in doors {
      for server in servers {
        do throws(LiveGuestError) {
          let identity = try connect(to: SocketAddress(server).seen(from: process), by: door)
          try Self.check(identity, against: process, at: SocketAddress(server))
          (means.door, means.socket) = (door, server)
          return identity
        } catch {
          means.refusals.append("\(door.rawValue) at \(server): \(error)")
          (control, connection) = (QMPChannel(nil), nil)
        }
      }
    }
    return nil
  }

  private func connect(
    to address: SocketAddress, by door: AttachedGuest.Door
  ) throws(LiveGuestError) -> GuestIdentity {
    let connection: any WatchingConnection
    switch door {
    case .qmp: return try connectQMP(to: address)
    case .monitor: connection = try HMPConnection(address, within: LiveGuest.greetingTime)
    case .gdbstub:
      connection = GDBAttachment(address)
      try connection.freeze()
    }
    self.connection = connection
    return try connection.identity()
  }

  private func connectQMP(to address: SocketAddress) throws(LiveGuestError) -> GuestIdentity {
    control = QMPChannel(try address.connect(.qmp, within: Self.connectionTime))
    guard hear(within: LiveGuest.greetingTime, until: { control.greeting != nil }), let version = control.greeting
    else { throw control.socket == nil ? .notSpoken(address, .qmp) : .silent(address, .qmp) }
    guard (try? execute(.capabilities)) != nil else { throw .notSpoken(address, .qmp) }
    return GuestIdentity(asking: self, version: version)
  }

  /// The command line says where this QEMU listened once; somebody else may be there now.
  private static func check(
    _ identity: GuestIdentity, against process: Int32, at address: SocketAddress
  ) throws(LiveGuestError) {
    let threads = QEMUProcess(processID: process).threadsAsItSeesThem
    guard identity.processors.allSatisfy({ threads.contains($0.cpu.threadID) }) else { throw .anotherQEMU(address) }
  }

  // MARK: Asking

  /// What a command of the human monitor prints, whichever way leads there; nil where QEMU does not answer.
  func ask(_ line: String) -> String? {
    guard let connection else { return monitor(line) }
    return try? connection.monitor(line)
  }

  /// What the guest does, where no event tells; nil otherwise, and where QEMU does not answer any more.
  func stateAsked() -> RunState? {
    guard let connection else { return nil }
    if let state = try? connection.currentState() { return state }
    self.connection = nil
    return nil
  }

  /// Whether the guest runs as far as this session leaves it alone.
  var isRunning: Bool { connection.map { $0.stateFound == .running } ?? isIn(.running) }

  private func isIn(_ state: RunState) -> Bool {
    (try? execute(.queryStatus))?["status"]?.string == state.rawValue
  }

  private var hasStoppedGuest = false

  /// Stops a guest that runs; false where it came to something of its own meanwhile.
  func stopGuest() -> Bool {
    if let connection { return (try? connection.freeze()) != nil && connection.stateFound == .running }
    _ = try? execute(.stop)
    // What it came to, if anything, is an event that is still to be read.
    hasStoppedGuest = isIn(.paused)
    return hasStoppedGuest
  }

  /// Lets the guest go on if this session stopped it.
  func letGoOn() {
    connection?.resume()
    guard hasStoppedGuest else { return }
    hasStoppedGuest = false
    _ = try? execute(.cont)
  }

  /// Sets what a reset and a power-off do; false where QEMU cannot (before 6.0).
  func setActions(reboot: String, shutdown: String) -> Bool {
    let command = QMPCommand("set-action", ["reboot": .string(reboot), "shutdown": .string(shutdown)])
    return (try? execute(command)) != nil
  }

  // MARK: Hearing

  func takeSignal() -> Int32? { pendingSignals.isEmpty ? nil : pendingSignals.removeFirst() }

  func hear(until deadline: ContinuousClock.Instant?) {
    let sources = [
      connection?.stopNotice, control.socket?.descriptor, process.descriptor, signals.descriptor.descriptor,
    ]
    .compactMap(\.self)
    var waits = sources.map { pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0) }
    waitForAny(&waits, until: deadline)
    if waits[waits.count - 2].revents != 0 { hasEnded = true }
    control.hear()
    while let signal = signals.next() {
      // Who sends a second one does not wait for a QEMU that does not answer.
      if !pendingSignals.isEmpty { (control, connection) = (QMPChannel(nil), nil) }
      pendingSignals.append(signal)
    }
  }
}

extension SocketAddress {
  /// The address as this process reaches it: a path that is not absolute begins where the other process does.
  fileprivate func seen(from process: Int32) -> SocketAddress {
    guard case .unix(let path) = self, !path.hasPrefix("/") else { return self }
    return .unix("/proc/\(process)/cwd/\(path)")
  }
}
