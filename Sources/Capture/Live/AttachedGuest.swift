import CLinux
import Glibc
public import QEMU
import SystemPackage

/// The guest of a QEMU that runs already and that Inquest did not start, watched until it dies.
///
/// What QEMU offers decides what can be taken (``Means``). Over QMP, what QEMU does at a reset and at a power-off is held back,
/// and done once the guest has been examined; it is given back when this ends, unless this process is killed.
public final class AttachedGuest {
  public let commandLine: QEMUCommandLine
  /// What there is to see the guest's end by.
  public let means: Means
  private let processID: Int32
  private let session: AttachedSession
  private var recorder: FlightRecorder?
  private let refusal: RecordingRefusal?
  private let identity: GuestIdentity?
  private var cause: ShutdownCause?
  private var panic: JSONValue?

  public struct Means: Hashable, Sendable {
    /// The QMP socket; nil where QEMU has none, or none that answers.
    public var socket: String?
    /// Whether a reset and a power-off are held back, so that the guest can be read.
    public var holdsBack = false
    /// Whether KVM's tracepoints are recorded.
    public var records = false
  }

  /// Which guests of this host may be looked at, and how much of their past is kept.
  public struct Options: Hashable, Sendable {
    public var recordsKVM = true
    /// Nil takes those that suit this host.
    public var events: EventChoice?
    public var recorderMemoryPerCPU = 16 << 20

    public init() {}
  }

  /// How the watch ended.
  public enum End {
    /// The guest was examined, dead.
    case examined
    /// QEMU is no more; what is left.
    case gone(GuestScene)
    /// A signal ended the watch, and the guest goes on.
    case interrupted
  }

  /// - Parameter process: QEMU's process ID.
  public init(process: Int32, options: Options = Options()) throws(CaptureError) {
    let words = ((try? wholeFile(FilePath("/proc/\(process)/cmdline"))) ?? []).split(
      separator: 0, omittingEmptySubsequences: false
    ).map { String(decoding: $0, as: UTF8.self) }
    guard let program = words.first, !program.isEmpty else {
      throw .system(doing: "looking at process \(process)", errno: kill(process, 0) == 0 ? EACCES : errno)
    }
    commandLine = QEMUCommandLine(program: program, arguments: Array(words.dropFirst().dropLast()))
    processID = process
    do throws(Errno) {
      session = try AttachedSession(process: process)
    } catch {
      throw .system(doing: "watching process \(process)", errno: error.rawValue)
    }
    var means = Means()
    means.socket = session.connect(to: commandLine.qmpServers, of: process)
    let session = session
    identity = session.greeting.map { GuestIdentity(asking: session, version: $0) }
    if means.socket != nil { means.holdsBack = session.setActions(reboot: "shutdown", shutdown: "pause") }
    let usesKVM = identity?.usesKVM ?? Self.usesKVM(process)
    (recorder, refusal) = usesKVM && options.recordsKVM ? Self.recorder(process, identity, options) : (nil, nil)
    means.records = recorder != nil
    self.means = means
  }

  deinit { letGo() }

  /// Why KVM's tracepoints are not recorded, where they were to be.
  public var recordingRefusal: RecordingRefusal? { refusal }

  private static func usesKVM(_ process: Int32) -> Bool {
    let folder = "/proc/\(process)/fd"
    return directoryEntries(FilePath(folder)).contains { name in
      var target = [CChar](repeating: 0, count: 64)
      // The kernel writes into the array's own storage, at most its count.
      let count = unsafe readlink("\(folder)/\(name)", &target, target.count)
      return count > 0 && target[..<count].elementsEqual("anon_inode:kvm-vm".utf8.map { CChar(bitPattern: $0) })
    }
  }

  private static func recorder(
    _ process: Int32, _ identity: GuestIdentity?, _ options: Options
  ) -> (FlightRecorder?, RecordingRefusal?) {
    do throws(RecordingRefusal) {
      let recorder = try FlightRecorder(
        process: process, vcpuThreads: identity?.processors.map(\.cpu.threadID) ?? [],
        memory: options.recorderMemoryPerCPU * max(sysconf(CInt(_SC_NPROCESSORS_ONLN)), 1),
        choice: options.events ?? .suited(to: .current()))
      return (recorder, nil)
    } catch {
      return (nil, error)
    }
  }

  // MARK: Watching

  /// Watches until the guest has died, QEMU has gone, or SIGINT, SIGTERM or SIGHUP comes.
  ///
  /// - Parameter examine: Given the guest each time it stands still; ``Resumption/end`` ends the watch, and what QEMU would
  ///   have done without Inquest is done.
  public func watch(_ examine: (GuestScene) -> Resumption) -> End {
    while true {
      if let event = session.control.takeEvent() {
        guard react(to: event, examine) == .end else { continue }
        return .examined
      }
      if session.hasEnded { return .gone(scene(.gone, isThere: false)) }
      if session.takeSignal() != nil { return .interrupted }
      session.hear(until: nil)
    }
  }

  private func react(to event: QMPEvent, _ examine: (GuestScene) -> Resumption) -> Resumption {
    switch event.name {
    case "SHUTDOWN": cause = event.data?["reason"]?.string.map(ShutdownCause.init(rawValue:))
    case "GUEST_PANICKED": panic = event.data
    case "STOP": return stopped(examine)
    default: break
    }
    return .carryOn
  }

  private func stopped(_ examine: (GuestScene) -> Resumption) -> Resumption {
    guard let status = try? session.execute(.queryStatus), status["running"]?.bool == false,
      let freeze = freeze(in: RunState(rawValue: status["status"]?.string ?? ""))
    else { return .carryOn }
    recorder?.pause(true)
    let scene = scene(freeze, isThere: true)
    defer { scene.memory.disconnect() }
    let resumption = examine(scene)
    if resumption == .carryOn { recorder?.pause(false) }
    resume(from: freeze, holdingBack: resumption == .carryOn)
    return resumption
  }

  /// Why the guest stands still; nil where somebody else stopped it.
  private func freeze(in state: RunState) -> GuestEnding? {
    switch (state, cause) {
    case (.shutdown, .guestShutdown?): .poweroff
    case (.shutdown, .guestPanic?), (.guestPanicked, _): .panicked(panic)
    case (.shutdown, .guestReset?), (.shutdown, .subsystemReset?): .reset
    case (.internalError, _): .internalError
    case (.ioError, _): .ioError
    case (.watchdog, _): .watchdog
    default: nil
    }
  }

  /// Lets happen what would have happened without Inquest.
  private func resume(from freeze: GuestEnding, holdingBack: Bool) {
    let actions = commandLine.lifecycleActions
    letGo()
    switch freeze {
    case .reset where actions.reboot != "shutdown":
      _ = try? session.execute(.systemReset)
      // QEMU refuses to go on before it has carried that out.
      _ = session.hear(within: qemuAnswerTime) { session.control.takeEvent(named: "RESET") }
      if holdingBack { _ = session.setActions(reboot: "shutdown", shutdown: "pause") }
      _ = try? session.execute(.cont)
    case .reset, .poweroff:
      if actions.shutdown != "pause" { _ = try? session.execute(.quit) }
    case .panicked:
      let ends = actions.panic != "pause" && actions.panic != "none" && actions.shutdown != "pause"
      if ends { _ = try? session.execute(.quit) }
    default: break
    }
    cause = nil
  }

  /// Gives back to QEMU what it is to do at a reset and at a power-off.
  private func letGo() {
    guard means.holdsBack, !session.hasEnded else { return }
    let actions = commandLine.lifecycleActions
    _ = session.setActions(reboot: actions.reboot ?? "reset", shutdown: actions.shutdown ?? "poweroff")
  }

  private func scene(_ ending: GuestEnding, isThere: Bool) -> GuestScene {
    let moment = ContinuousClock.now
    if !isThere { recorder?.stop() }
    let map = isThere ? session.monitor("info mtree -f").flatMap { MemoryMap(monitorText: $0) } : nil
    let recording: KVMRecording =
      if let recorder {
        .recorded(recorder.read(last: FlightRecording.eventsOfADeath))
      } else if let refusal {
        .refused(refusal)
      } else {
        .notWanted
      }
    return GuestScene(
      ending: ending, moment: moment, identity: identity,
      registers: isThere ? session.monitor("info registers -a") : nil, log: [], logsTripleFaults: false,
      standardError: [], memory: memory(map), recording: recording, shutdownCause: cause)
  }

  private func memory(_ map: MemoryMap?) -> CapturedMemory {
    guard let map else { return CapturedMemory(map: nil, reader: nil) { _ in nil } }
    let session = session
    let hostMemory = HostMemory(
      of: map, in: QEMUProcess(processID: processID), monitor: session.monitor,
      fallback: MonitorPages(monitor: session.monitor))
    return CapturedMemory(map: map, reader: hostMemory, slice: hostMemory.slice)
  }
}

/// A QEMU that runs already: its end, its QMP socket if it has one, and the signals of this process.
private final class AttachedSession: QMPSession {
  private(set) var control = QMPChannel(nil)
  private(set) var hasEnded = false
  private let process: OwnedDescriptor
  private let signals: InterruptSignals
  private var pendingSignals: [Int32] = []

  init(process: Int32) throws(Errno) {
    self.process = try OwnedDescriptor(checking: clinux_pidfd_open(process))
    signals = try InterruptSignals()
  }

  var greeting: QEMUVersion? { control.greeting }

  /// Connects to the first of the sockets that speaks QMP; tells which.
  ///
  /// - Parameter servers: As QEMU's command line has them; a path that is not absolute begins where QEMU does.
  func connect(to servers: [String], of process: Int32) -> String? {
    for server in servers {
      var address = SocketAddress(server)
      if case .unix(let path) = address, !path.hasPrefix("/") { address = .unix("/proc/\(process)/cwd/\(path)") }
      guard let socket = try? address.connect(until: .now + .seconds(2)) else { continue }
      control = QMPChannel(socket)
      guard hear(within: LiveGuest.greetingTime, until: { greeting != nil }),
        (try? execute(.capabilities)) != nil
      else { continue }
      return server
    }
    control = QMPChannel(nil)
    return nil
  }

  /// Sets what a reset and a power-off do; false where QEMU cannot (before 6.0).
  func setActions(reboot: String, shutdown: String) -> Bool {
    let command = QMPCommand("set-action", ["reboot": .string(reboot), "shutdown": .string(shutdown)])
    return (try? execute(command)) != nil
  }

  func takeSignal() -> Int32? { pendingSignals.isEmpty ? nil : pendingSignals.removeFirst() }

  func hear(until deadline: ContinuousClock.Instant?) {
    let sources = [control.socket, process, signals.descriptor].compactMap(\.self)
    var waits = sources.map { pollfd(fd: $0.descriptor.rawValue, events: Int16(POLLIN), revents: 0) }
    waitForAny(&waits, until: deadline)
    if waits[waits.count - 2].revents != 0 { hasEnded = true }
    control.hear()
    while let signal = signals.next() {
      // Who sends a second one does not wait for a QEMU that does not answer.
      if !pendingSignals.isEmpty { control = QMPChannel(nil) }
      pendingSignals.append(signal)
    }
  }
}
