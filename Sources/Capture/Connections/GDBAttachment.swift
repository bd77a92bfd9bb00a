import QEMU
import SystemPackage
import X86

/// A gdbstub of QEMU as a way to a guest: attached, with physical addresses, and left as it was found.
///
/// A debugger that connects stops the guest (`gdbstub.c: gdb_chr_event`, 7.2), so that being attached is being frozen.
final class GDBAttachment: WatchingConnection {
  private let address: SocketAddress
  /// Nil while the guest is left alone.
  private var connection: GDBConnection?
  /// Whether the guest ran before.
  private var didRun = false
  /// Whether the guest is left to run, or to stand still for another, with this debugger attached: a byte would stop it.
  private var isLeftAlone = false
  /// Why it stands still while attached.
  private var state = RunState.paused
  /// The mode of addresses before, which is not the connection's but QEMU's.
  private var hadPhysicalMode = false

  /// Does not attach yet.
  init(_ address: SocketAddress) { self.address = address }

  deinit { thaw() }

  // MARK: Coming and going

  private func attach(within time: Duration) throws(LiveGuestError) {
    let socket = try address.connect(.gdb, within: time)
    let connection = GDBConnection(socket)
    do throws(GDBRefusal) {
      try connection.negotiate(within: time)
      hadPhysicalMode = try connection.perform(.queryPhysicalMemoryMode).text == "1"
      state = RunState(monitorText: try connection.monitor("info status")) ?? .paused
      let announcesStops = try Self.announcesStops(connection)
      didRun = connection.announcedStop || state == .paused && !announcesStops
      try connection.order(.setPhysicalMemoryMode(true))
    } catch {
      if connection.announcedStop { try? connection.order(.detach) }
      switch error {
      case .silent: throw .silent(address, .gdb)
      case .garbled, .gone: throw .notSpoken(address, .gdb)
      case .unknownRequest, .refused: throw .notQEMU(address)
      }
    }
    self.connection = connection
  }

  /// Whether this QEMU tells a debugger unasked that connecting stopped the guest: before 8.1 it does (measured with
  /// 7.2; commit 758370052fb "gdbstub: only send stop-reply packets when allowed to").
  ///
  /// A later one leaves a guest that ran and one that was paused alike, and the first is by far the more frequent.
  private static func announcesStops(_ connection: GDBConnection) throws(GDBRefusal) -> Bool {
    QEMUVersion(monitorText: try connection.monitor("info version")).map { ($0.major, $0.minor) < (8, 1) } ?? false
  }

  func freeze() throws(LiveGuestError) {
    guard let connection else { return try attach(within: LiveGuest.greetingTime) }
    guard isLeftAlone else { return }
    let hasStopped = try answered("stopping the guest", connection) { connection throws(GDBRefusal) in
      try connection.interrupt(within: didRun ? qemuAnswerTime : .seconds(1))
    }
    isLeftAlone = false
    guard hasStopped else { return }
    state = RunState(monitorText: try monitor("info status")) ?? .paused
    didRun = state == .paused
  }

  /// Detaching lets a guest run, whatever it did before (`gdbstub.c: handle_detach`, 7.2); closing the connection does
  /// not.
  func thaw() {
    if isLeftAlone { try? freeze() }
    guard let connection else { return }
    self.connection = nil
    if !hadPhysicalMode { try? connection.order(.setPhysicalMemoryMode(false)) }
    if didRun { try? connection.order(.detach) }
  }

  private func answered<Value>(
    _ what: String, _ connection: GDBConnection, _ ask: (GDBConnection) throws(GDBRefusal) -> Value
  ) throws(LiveGuestError) -> Value {
    do throws(GDBRefusal) { return try ask(connection) } catch { throw .lost(doing: what) }
  }

  // MARK: Watching

  var stopNotice: FileDescriptor? { isLeftAlone ? connection?.socket?.descriptor : nil }

  /// A debugger that stays attached is told when the guest stops (`gdbstub.c: gdb_vm_state_change`, 7.2).
  func resume() {
    guard let connection, !isLeftAlone else { return }
    if didRun, (try? connection.resume()) == nil { return }
    isLeftAlone = true
  }

  func currentState() throws(LiveGuestError) -> RunState {
    if connection == nil { try freeze() }
    guard let connection, isLeftAlone else { return stateFound }
    let hasStopped = try answered("watching the guest", connection) { connection throws(GDBRefusal) in
      try connection.takeStop()
    }
    guard hasStopped else { return stateFound }
    isLeftAlone = false
    // Not for this debugger: it is not to be ended here.
    didRun = false
    state = RunState(monitorText: try monitor("info status")) ?? .paused
    return state
  }

  // MARK: Asking

  func monitor(_ line: String) throws(LiveGuestError) -> String {
    try freeze()
    guard let connection else { throw .lost(doing: line) }
    do throws(GDBRefusal) {
      return try connection.monitor(line)
    } catch {
      switch error {
      case .refused(let number): throw .refused(doing: line, explanation: "error \(number)")
      case .unknownRequest: throw .notQEMU(address)
      case .garbled, .gone, .silent: throw .lost(doing: line)
      }
    }
  }

  func page(at address: UInt64) -> [UInt8]? {
    guard let connection else { return nil }
    // An answer has two digits for each byte.
    let most = connection.packetSize / 2
    var page: [UInt8] = []
    while page.count < 4096 {
      let place = PhysicalAddress(address &+ UInt64(page.count))
      guard let part = try? connection.memory(at: place, count: min(most, 4096 - page.count)) else { return nil }
      page += part
    }
    return page
  }

  func process(running threads: [Int32]) -> QEMUProcess? {
    connection?.socket.flatMap { QEMUProcess(peerOf: $0.descriptor, vcpuThreads: threads) }
  }

  var stateFound: RunState { didRun ? .running : state }
}
