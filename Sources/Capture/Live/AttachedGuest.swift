import Glibc
public import QEMU
import SystemPackage

/// The guest of a QEMU that runs already and that Inquest did not start, watched until it dies.
///
/// What QEMU offers decides what can be taken (``Means``). Over QMP, what QEMU does at a reset and at a power-off is held back,
/// and done once the guest has been examined; it is given back when this ends, unless this process is killed. A human monitor and
/// a gdbstub show the same of a guest that stands still, and hold nothing back.
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
  private var stall: StallWatch?

  public struct Means: Hashable, Sendable {
    /// By what QEMU can be asked; nil where it has nothing that answers.
    public var door: Door?
    /// The socket, as QEMU's command line has it.
    public var socket: String?
    /// What was tried before and cannot be used, and why.
    public var refusals: [String] = []
    /// Whether a reset and a power-off are held back, so that the guest can be read.
    public var holdsBack = false
    /// Whether KVM's tracepoints are recorded.
    public var records = false
  }

  /// A way to ask QEMU.
  public enum Door: String, Hashable, Sendable {
    case qmp = "QMP"
    case monitor
    case gdbstub
  }

  /// Which guests of this host may be looked at, and how much of their past is kept.
  public struct Options: Hashable, Sendable {
    public var recordsKVM = true
    /// Nil takes those that suit this host.
    public var events: EventChoice?
    public var recorderMemoryPerCPU = 16 << 20

    /// How long the guest may go without progress before it is judged; nil lets it.
    public var stallTime: Duration?

    public init() {}
  }

  /// How the watch ended.
  public enum End {
    /// The guest was examined, dead or hanging.
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
    identity = session.connect(to: commandLine, of: process, &means)
    if means.door == .qmp { means.holdsBack = session.setActions(reboot: "shutdown", shutdown: "pause") }
    let usesKVM = identity?.usesKVM ?? Self.usesKVM(process)
    (recorder, refusal) = usesKVM && options.recordsKVM ? Self.recorder(process, identity, options) : (nil, nil)
    means.records = recorder != nil
    self.means = means
    stall = options.stallTime.map(StallWatch.init)
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

  /// How often a monitor is asked what became of the guest.
  private static let askingInterval = Duration.milliseconds(500)

  /// Watches until the guest has died, QEMU has gone, or SIGINT, SIGTERM or SIGHUP comes. A guest that is found dead is
  /// examined at once.
  ///
  /// - Parameters:
  ///   - suspect: Whether a guest that was looked at like this over ``Options/stallTime`` may get nowhere, so that `examine` is to
  ///     judge it.
  ///   - examine: Given the guest each time it stands still; ``Resumption/end`` ends the watch, and what QEMU would
  ///     have done without Inquest is done.
  public func watch(
    suspect: ([GuestSample]) -> Bool = { _ in false }, examine: (GuestScene) -> Resumption
  ) -> End {
    if means.door == .qmp, stopped(examine) == .end { return .examined }
    var known: RunState?
    while true {
      if let event = session.control.takeEvent() {
        guard react(to: event, examine) == .end else { continue }
        return .examined
      }
      if session.hasEnded { return .gone(scene(.gone, isThere: false)) }
      if session.takeSignal() != nil { return .interrupted }
      if let state = session.stateAsked(), state != known {
        known = state
        if let ending = ending(in: state), show(ending, examine) == .end { return .examined }
      }
      session.letGoOn()
      if let next = stall?.next, next <= .now, checkProgress(suspect, examine) == .end { return .examined }
      session.hear(until: nextLook)
    }
  }

  private var nextLook: ContinuousClock.Instant? {
    let asking = session.connection != nil && session.connection?.stopNotice == nil
    return [asking ? .now + Self.askingInterval : nil, stall?.next].compactMap(\.self).min()
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
      let ending = ending(in: RunState(rawValue: status["status"]?.string ?? ""))
    else { return .carryOn }
    let resumption = show(ending, examine)
    resume(from: ending, holdingBack: resumption == .carryOn)
    return resumption
  }

  private func show(
    _ ending: GuestEnding, samples: [GuestSample] = [], _ examine: (GuestScene) -> Resumption
  ) -> Resumption {
    recorder?.pause(true)
    let scene = scene(ending, samples: samples, isThere: true)
    defer { scene.memory.disconnect() }
    let resumption = examine(scene)
    if resumption == .carryOn { recorder?.pause(false) }
    return resumption
  }

  /// Why the guest stands still; nil where it runs, and where somebody else stopped it.
  private func ending(in state: RunState) -> GuestEnding? {
    switch (state, cause) {
    case (.shutdown, .guestShutdown?): .poweroff
    case (.shutdown, .guestPanic?), (.guestPanicked, _): .panicked(panic)
    case (.shutdown, .guestReset?), (.shutdown, .subsystemReset?): .reset
    case (.shutdown, nil): .shutDown
    case (.internalError, _): .internalError
    case (.ioError, _): .ioError
    case (.watchdog, _): .watchdog
    default: nil
    }
  }

  /// Looks at a guest that runs, and stops it to have it judged if it may get nowhere; it goes on then.
  private func checkProgress(
    _ suspect: ([GuestSample]) -> Bool, _ examine: (GuestScene) -> Resumption
  ) -> Resumption {
    defer { session.letGoOn() }
    guard session.isRunning, let sample = GuestSample(asking: session.ask) else {
      stall?.restart()
      return .carryOn
    }
    guard let samples = stall?.add(sample), suspect(samples) else { return .carryOn }
    session.letGoOn()
    // Under KVM the flight recorder shows what repeats itself; that of the looks at it is pushed out.
    if recorder != nil { _ = session.hear(within: .milliseconds(100)) { false } }
    guard session.stopGuest() else { return .carryOn }
    defer { stall?.restart() }
    return show(.stalled, samples: samples, examine)
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

  private func scene(_ ending: GuestEnding, samples: [GuestSample] = [], isThere: Bool) -> GuestScene {
    let moment = ContinuousClock.now
    if !isThere { recorder?.stop() }
    let map = isThere ? session.ask("info mtree -f").flatMap { MemoryMap(monitorText: $0) } : nil
    let recording: KVMRecording =
      if let recorder {
        .recorded(recorder.read(last: ending.eventsThatMatter))
      } else if let refusal {
        .refused(refusal)
      } else {
        .notWanted
      }
    return GuestScene(
      ending: ending, moment: moment, identity: identity,
      registers: isThere ? session.ask("info registers -a") : nil, log: [], logsTripleFaults: false,
      samples: samples, standardError: [], memory: memory(map), recording: recording, shutdownCause: cause,
      askedOver: means.door?.rawValue ?? GuestScene.usualDoor)
  }

  private func memory(_ map: MemoryMap?) -> CapturedMemory {
    guard let map else { return CapturedMemory(map: nil, reader: nil) { _ in nil } }
    let session = session
    let fallback: any PageReader = session.connection ?? MonitorPages(monitor: session.ask)
    let hostMemory = HostMemory(
      of: map, in: QEMUProcess(processID: processID), monitor: session.ask, fallback: fallback)
    return CapturedMemory(map: map, reader: hostMemory, slice: hostMemory.slice)
  }
}
