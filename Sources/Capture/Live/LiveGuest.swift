public import QEMU
import SystemPackage
public import X86

/// The guest of a running QEMU that Inquest did not start.
///
/// It is left as it was found: what ``freeze()`` or a gdbstub stopped goes on with ``thaw()``, at the latest when this
/// object goes, and also where Ctrl-C, SIGTERM or SIGHUP ends the process before. Only a process that is killed leaves its
/// guest stopped. One thread is to use the object.
public final class LiveGuest {
  /// QEMU's version, its accelerator, and what that left of the processors' features.
  public let identity: GuestIdentity
  private let control: LiveControl
  /// The process that listens on the socket, where it is one of this host.
  private let process: QEMUProcess?
  /// Lets the guest go on before a signal ends this process; nil while the guest is left alone.
  private var watch: InterruptWatch?

  /// How long QEMU may take to accept a client and to greet it.
  public static let greetingTime = Duration.seconds(5)

  /// Connects to a QMP socket of QEMU (`-qmp unix:PATH,server=on,wait=off`). The guest does not notice.
  public init(qmp address: SocketAddress, within time: Duration = greetingTime) throws(LiveGuestError) {
    control = LiveControl(try QMPConnection(address, within: time))
    identity = try control.identity()
    process = control.process(running: identity.processors.map(\.cpu.threadID))
  }

  /// Connects to a gdbstub of QEMU (`-gdb tcp:127.0.0.1:1234`, `-s`), which stops the guest until ``thaw()``.
  public init(gdb address: SocketAddress) throws(LiveGuestError) {
    let control = LiveControl(GDBAttachment(address))
    self.control = control
    watch = try Self.watch(over: control)
    try control.freeze()
    identity = try control.identity()
    process = control.process(running: identity.processors.map(\.cpu.threadID))
  }

  deinit { thaw() }

  /// What the guest did when it was last stopped or, before that, when it was found: `running`, `paused`, …
  ///
  /// A gdbstub of QEMU 8.1 or later does not tell a guest that ran from one that was paused; it counts as running.
  public var stateFound: RunState { control.stateFound }

  /// Stops the guest if it runs, so that what is read is of one moment.
  public func freeze() throws(LiveGuestError) {
    if watch == nil { watch = try Self.watch(over: control) }
    try control.freeze()
  }

  /// Lets the guest go on if it was stopped for this object.
  public func thaw() {
    control.thaw()
    watch = nil
  }

  private static func watch(over control: LiveControl) throws(LiveGuestError) -> InterruptWatch {
    do throws(Errno) {
      return try InterruptWatch { control.thaw() }
    } catch {
      throw .cannotWatch(errno: error.rawValue)
    }
  }

  /// The registers, the memory map and the memory as they are now.
  ///
  /// Of a guest that runs they are not of one moment, and neither are two reads of its memory. To ask over a gdbstub is to
  /// freeze.
  public func scene() throws(LiveGuestError) -> LiveScene {
    let registers = try control.monitor("info registers -a")
    let map = MemoryMap(monitorText: try control.monitor("info mtree -f"))
    let hostMemory = HostMemory(of: map, in: process, monitor: { try? control.monitor($0) }, fallback: control)
    return LiveScene(
      registers: RegisterDump.all(in: registers),
      memory: CapturedMemory(map: map, reader: hostMemory, slice: hostMemory.slice))
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
