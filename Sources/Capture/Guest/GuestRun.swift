import Glibc
public import QEMU
import SystemPackage
public import X86

/// Runs a user's QEMU command line so that its guest can be examined when it dies.
///
/// Nothing is made in any file system: the control socket, the guest's RAM and QEMU's log are open descriptors that
/// QEMU inherits. Whatever happens to this process, QEMU ends with it.
public struct GuestRun {
  public var commandLine: QEMUCommandLine
  public var options: Options

  public struct Options: Hashable, Sendable {
    /// How long the guest may run; nil lets it run as long as it likes.
    public var timeLimit: Duration?
    /// How long the guest may go without progress before it is judged; nil lets it.
    public var stallTime: Duration?
    /// When to look at the running guest, from its start; it stands still while it is looked at.
    public var looks: [Duration] = []
    /// Where to look at it when it comes to an instruction at such an address. Under KVM the first four count, for a processor has four debug
    /// registers. Not possible where the command line has a gdbstub of its own.
    public var breakpoints: [LinearAddress] = []
    /// How often it is looked at at each of them. After a visit the next one counts only once another has been visited.
    public var visitsPerBreakpoint = 1
    /// Where TCG is to log all registers; only an instruction that begins a translation block is logged, such as the
    /// one after a MOV to CR0.
    public var loggedAddresses: [UInt64] = []
    /// Whether TCG is to list in the log what code it comes to, up to 16 MiB of that.
    public var listsCode = false
    /// Whether QEMU's standard error also goes to this process's, as it comes.
    public var forwardsStandardError = true
    /// Whether QEMU's standard output is kept in place of being this process's; its standard input is then empty.
    public var keepsStandardOutput = false
    /// Whether the guest's RAM may be put into shared memory, where that is worth what it costs: see
    /// ``QEMUCommandLine/isWorthSharingMemory``.
    public var sharesMemory = true
    /// Whether KVM's tracepoints are recorded, where they can be.
    public var recordsKVM = true
    /// Which events of kvm and kvmmmu; nil takes those that suit this host.
    public var events: EventChoice?
    /// What the recorder's rings may take for each of this machine's processors, in bytes.
    public var recorderMemoryPerCPU = 16 << 20
    /// What is opened to a guest that is left standing still.
    public var doors: GuestDoors = []

    public init() {}
  }

  public init(_ commandLine: QEMUCommandLine, options: Options = Options()) {
    self.commandLine = commandLine
    self.options = options
  }

  /// How long QEMU may take from its start to its greeting: memory that is allocated beforehand takes its time.
  static let startTime = Duration.seconds(120)

  /// Runs QEMU to its end and calls `examine` each time the guest stands still.
  ///
  /// The calling thread waits. While it does, SIGINT, SIGTERM and SIGHUP stop the guest, which is examined like one whose time is
  /// over, and end the run; during
  /// `examine` they do what they did before. Standard input and output are QEMU's.
  ///
  /// - Parameters:
  ///   - look: Given the guest at each of ``Options/looks`` and ``Options/breakpoints``. Says whether it goes on afterwards.
  ///   - suspect: Whether a guest that was looked at like this over ``Options/stallTime`` may get nowhere, so that `examine` is to
  ///     judge it. Where it gives ``Resumption/carryOn``, the guest goes on.
  ///   - stay: Told where the doors are to a guest for which `examine` gave ``Resumption/stay``.
  public func run(
    look: @escaping (GuestMoment, GuestScene) -> Resumption = { _, _ in .carryOn },
    suspect: @escaping ([GuestSample]) -> Bool = { _ in false }, stay: @escaping (OpenDoors) -> Void = { _ in },
    examine: @escaping (GuestScene) -> Resumption
  ) throws(CaptureError) -> GuestOutcome {
    if commandLine.daemonizes { throw .unsupportedOption("-daemonize") }
    return try GuestWatch(self).watch(Visitors(look: look, suspect: suspect, stay: stay, examine: examine))
  }
}

/// When a running guest is looked at.
public enum GuestMoment: Hashable, Sendable {
  /// It had run for this long.
  case ranFor(Duration)
  /// It came to the instruction at this address.
  case reached(LinearAddress)
}

/// What is done with a guest that is watched.
private struct Visitors {
  let look: (GuestMoment, GuestScene) -> Resumption
  let suspect: ([GuestSample]) -> Bool
  let stay: (OpenDoors) -> Void
  let examine: (GuestScene) -> Resumption
}

/// One run while it lasts.
private final class GuestWatch {
  let run: GuestRun
  let actions: LifecycleActions
  let signals: InterruptSignals
  let terminal = TerminalState()
  let ram: SharedRAM?
  let kernelFile: LinuxKernelFile?
  let debugger: Debugger?
  let doors: DoorSockets?
  let session: QEMUSession
  var identity: GuestIdentity?
  /// Whether QEMU was asked what the vCPUs are.
  var knowsProperties = false
  var map: MemoryMap?
  var recording = RecorderState.notWanted
  var cause: ShutdownCause?
  var stall: StallWatch?
  /// What was seen of a guest that is suspected.
  var samples: [GuestSample] = []
  var panic: JSONValue?
  /// What froze the guest that was not set going again.
  var lastFreeze: GuestEnding?

  enum RecorderState {
    case notWanted
    case running(FlightRecorder)
    case refused(RecordingRefusal)
  }

  init(_ run: GuestRun) throws(CaptureError) {
    self.run = run
    actions = run.commandLine.lifecycleActions
    kernelFile = run.commandLine.kernelPath.flatMap { LinuxKernelFile(at: FilePath($0)) }
    do throws(Errno) {
      signals = try InterruptSignals()
      let shares = run.options.sharesMemory && run.commandLine.isWorthSharingMemory
      let size = shares ? run.commandLine.replaceableMemorySize : nil
      // RAM larger than the address space or the kernel allows is QEMU's to refuse.
      ram = size.flatMap { try? SharedRAM(size: $0) }
      debugger = run.wantsDebugger ? try Debugger() : nil
      doors = run.options.doors.isEmpty ? nil : try DoorSockets(run.options.doors)
    } catch {
      throw .system(doing: "preparing to run QEMU", errno: error.rawValue)
    }
    session = try Self.start(run, ram, debugger, doors, signals)
  }

  private static func start(
    _ run: GuestRun, _ ram: SharedRAM?, _ debugger: Debugger?, _ doors: DoorSockets?, _ signals: InterruptSignals
  ) throws(CaptureError) -> QEMUSession {
    let command = run.commandLine
    let control: (ours: OwnedDescriptor, theirs: OwnedDescriptor)
    let errors: (reading: OwnedDescriptor, writing: OwnedDescriptor)
    let log: (reading: OwnedDescriptor, writing: OwnedDescriptor)?
    let console: KeptConsole?
    do throws(Errno) {
      console = run.options.keepsStandardOutput ? try KeptConsole() : nil
      control = try makeSocketPair()
      errors = try makePipe()
      log = command.leavesLogFree ? try makePipe() : nil
    } catch {
      throw .system(doing: "preparing to run QEMU", errno: error.rawValue)
    }
    let additions = Instrumentation(
      control: control.theirs.descriptor, ram: ram.map { ($0.descriptor.descriptor, $0.size) },
      log: log?.writing.descriptor, loggedAddresses: run.options.loggedAddresses, listsCode: run.options.listsCode,
      gdbstub: debugger?.stub?.descriptor)
    let inherited = [control.theirs, ram?.descriptor, log?.writing, debugger?.stub].compactMap { $0?.descriptor }
    do throws(Errno) {
      let process = try ChildProcess(
        program: command.program, arguments: command.arguments + additions.arguments + (doors?.arguments ?? []),
        standardInput: console?.input.descriptor, standardOutput: console?.output.descriptor,
        standardError: errors.writing.descriptor, inheriting: inherited, holdsInterrupts: true)
      debugger?.closeStub()
      return QEMUSession(
        process: process, control: control.ours, standardOutput: console?.reading, standardError: errors.reading,
        log: log?.reading, keepingOfLog: run.options.listsCode ? QEMUSession.plentyOfCode : QEMUSession.usualLog,
        signals: signals, forwardsErrors: run.options.forwardsStandardError)
    } catch {
      throw .cannotStart(program: command.program, errno: error.rawValue)
    }
  }

  func watch(_ visitors: Visitors) throws(CaptureError) -> GuestOutcome {
    guard try prepare() else {
      if let signal = session.takeSignal() {
        return finish(session.terminate(asking: false), interruptedBy: signal)
      }
      return finish(session.terminate(asking: false), beforeStart: true)
    }
    debugger?.setBreakpoints(
      run.options.breakpoints, limit: identity?.usesKVM == false ? .max : Debugger.debugRegisters,
      visits: run.options.visitsPerBreakpoint)
    if !run.commandLine.startsPaused { _ = try? session.execute(.cont) }
    let start = ContinuousClock.now
    let deadline = run.options.timeLimit.map { start + $0 }
    var looks = run.options.looks.sorted()[...]
    stall = run.options.stallTime.map(StallWatch.init)
    while true {
      let nextLook = looks.first.map { start + $0 }
      switch session.next(until: [deadline, nextLook, stall?.next].compactMap(\.self).min()) {
      case .event(let event): if let end = react(to: event, visitors) { return finish(end) }
      case .ended(let end): return finish(end)
      case .interrupted(let signal): return finish(freeze(.interrupted(signal: signal), visitors))
      case .deadlinePassed where (deadline.map { $0 > .now } ?? true) && stall.map { $0.next <= .now } == true:
        if let end = checkProgress(visitors) { return finish(end) }
      case .deadlinePassed:
        guard let time = looks.first, deadline.map({ start + time < $0 }) ?? true else {
          return finish(freeze(.timedOut, visitors))
        }
        looks.removeFirst()
        if let end = lookAtRunningGuest({ visitors.look(.ranFor(time), $0) }) { return finish(end) }
      case .controlLost:
        _ = session.terminate(asking: false)
        throw .controlLost(program: run.commandLine.program)
      }
    }
  }

  /// Gets hold of a QEMU whose guest has not started; false where QEMU does not come that far.
  private func prepare() throws(CaptureError) -> Bool {
    guard session.awaitGreeting(within: GuestRun.startTime), let version = session.greeting else {
      if session.hasSignal { return false }
      // A QEMU that refuses an option closes its socket a moment before it ends.
      if session.awaitEnd(within: .seconds(2)) != nil { return false }
      _ = session.terminate(asking: false)
      throw .noGreeting(program: run.commandLine.program)
    }
    // QEMU greets before it has opened disks and made devices, and answers only after that.
    guard (try? session.execute(.capabilities, within: GuestRun.startTime)) != nil else {
      _ = session.awaitEnd(within: .seconds(2))
      return false
    }
    identity = GuestIdentity(listedBy: session, version: version)
    // Asking takes its time, and can wait until the guest stands still. QEMU itself may fail before that where it has
    // all the work, and is then there no more.
    if identity?.usesKVM != true {
      readProperties()
      readMap()
    }
    startRecorder()
    return true
  }

  private func readProperties() {
    guard !knowsProperties else { return }
    identity?.takeProperties(asking: session)
    knowsProperties = true
  }

  private func startRecorder() {
    guard run.options.recordsKVM, let identity, identity.usesKVM == true else { return }
    do throws(RecordingRefusal) {
      let recorder = try FlightRecorder(
        process: processID, vcpuThreads: identity.processors.map(\.cpu.threadID),
        memory: run.options.recorderMemoryPerCPU * max(sysconf(CInt(_SC_NPROCESSORS_ONLN)), 1),
        choice: run.options.events ?? .suited(to: .current()))
      recording = .running(recorder)
    } catch {
      recording = .refused(error)
    }
  }

  /// QEMU's own, which may be another than that of the program that was started: a script's.
  private var processID: Int32 {
    let thread = identity?.processors.first?.cpu.threadID
    return thread.flatMap(FlightRecorder.process(ofThread:)) ?? session.process.processID
  }

  private static let mapCommand = "info mtree -f"

  private func readMap() {
    if let text = session.monitor(Self.mapCommand), let map = MemoryMap(monitorText: text) { self.map = map }
  }

  // MARK: While it runs

  /// Returns how QEMU ended, if the event made it end.
  private func react(to event: QMPEvent, _ visitors: Visitors) -> ProcessEnd? {
    switch event.name {
    case "SHUTDOWN": cause = event.data?["reason"]?.string.map(ShutdownCause.init(rawValue:))
    case "GUEST_PANICKED": panic = event.data
    case "RESUME": lastFreeze = nil
    case "STOP": return stopped(visitors)
    default: break
    }
    return nil
  }

  private func stopped(_ visitors: Visitors) -> ProcessEnd? {
    guard
      let status = try? session.execute(.queryStatus), status["running"]?.bool == false,
      let state = status["status"]?.string.map(RunState.init(rawValue:))
    else { return nil }
    if state == .debug, let debugger { return lookAtBreakpoint(debugger, visitors.look) }
    guard let freeze = freeze(in: state) else { return nil }
    // A reset that the user asks for in a monitor of his own is no death.
    if state == .shutdown, cause == .hostReset { return resume(from: .reset) }
    lastFreeze = freeze
    switch show(freeze, visitors.examine) {
    case .end: return session.terminate()
    case .stay: return stay(visitors.stay)
    case .carryOn: return resume(from: freeze)
    }
  }

  /// Why the guest stands still; nil where the user stopped it.
  private func freeze(in state: RunState) -> GuestEnding? {
    switch state {
    case .shutdown:
      switch cause {
      case .guestShutdown?: .poweroff
      case .guestPanic?: .panicked(panic)
      case .guestReset?, .subsystemReset?, .hostReset?: .reset
      default: .stopped(state)
      }
    case .internalError: .internalError
    case .guestPanicked: .panicked(panic)
    case .ioError: .ioError
    case .watchdog: .watchdog
    default: nil
    }
  }

  /// Lets happen what would have happened without Inquest.
  private func resume(from freeze: GuestEnding) -> ProcessEnd? {
    switch freeze {
    case .reset where actions.reboot != "shutdown":
      reset()
      return nil
    case .reset, .poweroff, .stopped(.shutdown): return actions.shutdown == "pause" ? nil : session.terminate()
    case .panicked:
      let ends = actions.panic != "pause" && actions.panic != "none" && actions.shutdown != "pause"
      return ends ? session.terminate() : nil
    default:
      // QEMU stays as it is until the user ends it, or sets the guest going.
      return nil
    }
  }

  /// Carries out the reset that was held back, and holds back the next.
  private func reset() {
    _ = try? session.execute(.setRebootAction("reset"))
    _ = try? session.execute(.systemReset)
    _ = session.awaitEvent("RESET")
    // What the log said so far is of the life before.
    session.forgetLog()
    _ = try? session.execute(.setRebootAction("shutdown"))
    _ = try? session.execute(.cont)
    lastFreeze = nil
    cause = nil
  }

  /// Stops a guest from outside, for the last time; one that stands still already has been shown.
  ///
  /// The terminal's Ctrl-C does not reach QEMU, which would be gone with its guest. A second one ends QEMU at once, or this process and QEMU
  /// with it while the guest is examined.
  private func freeze(_ ending: GuestEnding, _ visitors: Visitors) -> ProcessEnd {
    guard lastFreeze == nil else { return session.terminate() }
    guard !isSilent else {
      lastFreeze = .silent(silence)
      return session.kill()
    }
    logInterrupts()
    guard (try? session.execute(.stop)) != nil else { return session.terminate() }
    lastFreeze = ending
    return show(ending, visitors.examine) == .stay ? stay(visitors.stay) : session.terminate()
  }

  /// Looks at the guest, and stops it to have it judged if it may get nowhere.
  private func checkProgress(_ visitors: Visitors) -> ProcessEnd? {
    guard lastFreeze == nil, isIn(.running), let sample = GuestSample(asking: session.monitor) else {
      stall?.restart()
      return nil
    }
    guard let samples = stall?.add(sample), visitors.suspect(samples) else { return nil }
    logInterrupts()
    _ = try? session.execute(.stop)
    // What it came to in the meantime, if anything, is an event that is still to be read.
    guard isIn(.paused) else { return nil }
    // It may have come on since the last look.
    self.samples = samples.dropLast() + [GuestSample(asking: session.monitor)].compactMap(\.self)
    defer { self.samples = [] }
    lastFreeze = .stalled
    switch show(.stalled, visitors.examine) {
    case .end: return session.terminate()
    case .stay: return stay(visitors.stay)
    case .carryOn:
      lastFreeze = nil
      _ = try? session.execute(.cont)
      stall?.restart()
      return nil
    }
  }

  private func isIn(_ state: RunState) -> Bool {
    (try? session.execute(.queryStatus))?["status"]?.string == state.rawValue
  }

  /// Whether QEMU runs and does not answer.
  private var isSilent: Bool {
    do throws(QMPRefusal) {
      _ = try session.execute(.queryStatus)
      return false
    } catch {
      return error == .silent
    }
  }

  /// What QEMU's main thread does; nil where it cannot be seen.
  private var silence: Silence? {
    let text = (try? wholeText(FilePath("/proc/\(processID)/stat"))) ?? ""
    // The name before it may have any characters, parentheses too.
    return text[(text.lastIndex(of: ")") ?? text.startIndex)...].dropFirst(2).first.flatMap(Silence.init(taskState:))
  }

  /// What a guest does that repeats itself shows in a moment.
  private func logInterrupts() {
    guard identity?.usesKVM == false else {
      // Under KVM the flight recorder shows it; that of the looks at it is pushed out.
      _ = session.awaitEnd(within: .milliseconds(100))
      return
    }
    let items = run.options.loggedAddresses.isEmpty ? "cpu_reset" : "cpu,cpu_reset"
    session.logInterrupts(for: .milliseconds(100), thenOnly: items)
  }

  /// Leaves the guest as it stands, until its user ends QEMU or this process.
  private func stay(_ tell: (OpenDoors) -> Void) -> ProcessEnd {
    // A console in raw mode would keep Ctrl-C from this process.
    terminal?.restore()
    tell(doors?.open(session, on: run.commandLine) ?? OpenDoors())
    while true {
      switch session.next(until: nil) {
      case .event, .deadlinePassed: continue
      case .ended(let end): return end
      case .interrupted, .controlLost: return session.terminate()
      }
    }
  }

  /// Shows a guest that has come to a breakpoint, and sets it going again.
  private func lookAtBreakpoint(
    _ debugger: Debugger, _ look: (GuestMoment, GuestScene) -> Resumption
  ) -> ProcessEnd? {
    let resumption = show(.stopped(.debug)) { scene in
      let addresses = RegisterDump.all(in: scene.registers ?? "").compactMap { $0.state?.instructionAddress }
      let answers = addresses.filter(debugger.visit).map { look(.reached($0), scene) }
      return answers.contains(.end) ? .end : .carryOn
    }
    if resumption == .end { return session.terminate() }
    _ = try? session.execute(.cont)
    // It has come on, however long that looked like standing still.
    stall?.restart()
    return nil
  }

  /// Shows a guest that runs, and sets it going again; one that the user has stopped stays stopped.
  private func lookAtRunningGuest(_ look: (GuestScene) -> Resumption) -> ProcessEnd? {
    guard lastFreeze == nil, isIn(.running) else { return nil }
    _ = try? session.execute(.stop)
    if show(.stopped(.paused), look) == .end { return session.terminate() }
    // What it came to in the meantime, if anything, is an event that is still to be read.
    if isIn(.paused) { _ = try? session.execute(.cont) }
    return nil
  }

  // MARK: Scenes

  private func show(_ ending: GuestEnding, _ examine: (GuestScene) -> Resumption) -> Resumption {
    let moment = ContinuousClock.now
    // Asking for registers makes events of its own.
    recorder?.pause(true)
    readProperties()
    readMap()
    let scene = scene(ending, at: moment, session)
    defer { scene.memory.disconnect() }
    let resumption = signals.unblocked { examine(scene) }
    switch resumption {
    case .carryOn: recorder?.pause(false)
    case .end, .stay: recorder?.stop()
    }
    return resumption
  }

  private func scene(_ ending: GuestEnding, at moment: ContinuousClock.Instant, _ live: QEMUSession?) -> GuestScene {
    let memory = memory(live)
    var scene = GuestScene(
      ending: ending, moment: moment, identity: identity, registers: live?.monitor("info registers -a"),
      log: session.log.bytes,
      logsTripleFaults: identity?.usesKVM == false && run.commandLine.leavesLogFree,
      interruptLog: session.interruptLog.bytes, samples: samples,
      standardError: session.standardError.bytes, standardOutput: session.standardOutput.bytes,
      textScreen: live.map { memory.textScreen(asking: $0.monitor) } ?? [], memory: memory,
      recording: recorded(ending), shutdownCause: cause)
    scene.kernelFile = kernelFile
    return scene
  }

  private func memory(_ live: QEMUSession?) -> CapturedMemory {
    guard let live, ram == nil else {
      return CapturedMemory(map: map, reader: live.map { MonitorPages(monitor: $0.monitor) }) { ram?.slice($0) }
    }
    let hostMemory = HostMemory(
      of: map, in: QEMUProcess(processID: processID), monitor: live.monitor,
      fallback: MonitorPages(monitor: live.monitor))
    return CapturedMemory(map: map, reader: hostMemory, slice: hostMemory.slice)
  }

  private var recorder: FlightRecorder? {
    if case .running(let recorder) = recording { recorder } else { nil }
  }

  private func recorded(_ ending: GuestEnding) -> KVMRecording {
    switch recording {
    case .notWanted: .notWanted
    case .running(let recorder): .recorded(recorder.read(last: ending.eventsThatMatter))
    case .refused(let refusal): .refused(refusal)
    }
  }

  private func finish(_ end: ProcessEnd, beforeStart: Bool = false, interruptedBy signal: Int32? = nil) -> GuestOutcome
  {
    var ending = lastFreeze ?? (beforeStart ? .refusedToStart(end) : GuestEnding(end))
    if lastFreeze == nil, let signal = signal ?? session.takeSignal() { ending = .interrupted(signal: signal) }
    // QEMU does this itself unless a signal kept it from it.
    if case .signalled = end { terminal?.restore() }
    recorder?.stop()
    return GuestOutcome(ending: ending, processEnd: end, scene: scene(ending, at: .now, nil), recorder: recorder)
  }
}

extension GuestEnding {
  /// How many of the last events of each thread are looked at.
  var eventsThatMatter: Int {
    switch self {
    case .stalled, .timedOut, .interrupted, .silent: FlightRecording.eventsOfAHang
    default: FlightRecording.eventsOfADeath
    }
  }

  fileprivate init(_ end: ProcessEnd) {
    switch end {
    case .exited(let status): self = .exited(status: status)
    case .signalled(let signal): self = .signalled(signal)
    }
  }
}
