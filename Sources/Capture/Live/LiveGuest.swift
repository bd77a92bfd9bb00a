public import QEMU
import SystemPackage
public import X86

/// The guest of a running QEMU that Inquest did not start.
///
/// It is left as it was found: what ``freeze()`` stopped goes on with ``thaw()``, at the latest when this object goes,
/// and also where Ctrl-C, SIGTERM or SIGHUP ends the process before.
public final class LiveGuest {
  /// QEMU's number, and what the accelerator left of the processors' features.
  public let identity: GuestIdentity
  private let connection: QMPConnection
  /// The process that listens on the socket, where it is one of this host.
  private let process: QEMUProcess?
  /// Whether the guest ran and stands still only for this object.
  private var isFrozen = false

  /// How long QEMU may take to accept a client and to greet it.
  public static let greetingTime = Duration.seconds(5)

  /// Connects to a QMP socket of QEMU (`-qmp unix:PATH,server=on,wait=off`).
  public init(qmp address: SocketAddress, within time: Duration = greetingTime) throws(LiveGuestError) {
    let socket: OwnedDescriptor
    do throws(Errno) {
      socket = try address.connect(until: .now + time)
    } catch {
      throw error == .timedOut ? .silent(address, .qmp) : .cannotConnect(address, errno: error.rawValue)
    }
    let connection = QMPConnection(socket)
    _ = connection.hear(within: time) { connection.control.greeting != nil }
    guard let version = connection.control.greeting else {
      throw connection.hasEnded ? .notSpoken(address, .qmp) : .silent(address, .qmp)
    }
    guard (try? connection.execute(.capabilities)) != nil else { throw .notSpoken(address, .qmp) }
    self.connection = connection
    identity = GuestIdentity(asking: connection, version: version)
    process = QEMUProcess(peerOf: socket.descriptor, vcpuThreads: identity.processors.map(\.cpu.threadID))
  }

  deinit { thaw() }

  /// Whether the guest runs, and if not, why: `running`, `paused`, `shutdown`, …
  public func runState() throws(LiveGuestError) -> RunState {
    let status = try execute(.queryStatus, doing: "to tell whether the guest runs")
    return RunState(rawValue: status["status"]?.string ?? "unknown")
  }

  /// Stops the guest if it runs, so that what is read is of one moment.
  public func freeze() throws(LiveGuestError) {
    guard try runState() == .running else { return }
    _ = try execute(.stop, doing: "to stop the guest")
    isFrozen = true
  }

  /// Lets the guest go on if ``freeze()`` stopped it.
  public func thaw() {
    guard isFrozen else { return }
    isFrozen = false
    _ = try? connection.execute(.cont)
  }

  /// The registers, the memory map and the memory as they are now.
  ///
  /// Of a guest that runs they are not of one moment, and neither are two reads of its memory.
  public func scene() throws(LiveGuestError) -> LiveScene {
    let registers = try monitor("info registers -a", doing: "to show the registers")
    let map = try monitor("info mtree -f", doing: "to show the memory map")
    let memoryMap = MemoryMap(monitorText: map)
    let connection = connection
    let hostMemory = HostMemory(
      of: memoryMap, in: process, monitor: connection.monitor, fallback: MonitorPages(monitor: connection.monitor))
    let memory = CapturedMemory(map: memoryMap, reader: hostMemory) { hostMemory.slice(of: $0) }
    return LiveScene(registers: RegisterDump.all(in: registers), memory: memory)
  }

  private func execute(_ command: QMPCommand, doing what: String) throws(LiveGuestError) -> JSONValue {
    do throws(QMPRefusal) {
      return try connection.execute(command)
    } catch {
      switch error {
      case .refused(let failure): throw .refused(doing: what, explanation: failure.explanation)
      case .gone, .silent: throw .lost(doing: what)
      }
    }
  }

  private func monitor(_ line: String, doing what: String) throws(LiveGuestError) -> String {
    try execute(.monitor(line), doing: what).string ?? ""
  }
}

/// A guest at one moment, or, if it runs, about then.
public struct LiveScene {
  /// What QEMU showed of each processor, in the order of their numbers.
  public let registers: [RegisterDump]
  /// Holds the memory map. Valid until the guest goes on, and as long as the ``LiveGuest`` is there.
  public let memory: CapturedMemory

  /// The processors, where QEMU showed all of their registers.
  public var processors: [ProcessorState] { registers.compactMap(\.state) }
}

extension RegisterDump {
  /// The dumps in a text.
  static func all(in text: String) -> [RegisterDump] {
    QEMULog.parse(text).compactMap { entry in
      guard case .registerDump(let dump) = entry.message else { return nil }
      return dump
    }
  }
}
