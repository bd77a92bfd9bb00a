import Capture
import GuestImage
import Investigation
import KVM
import QEMU
import X86

extension Scene {
  /// What a run left of its guest.
  ///
  /// - Parameters:
  ///   - image: The guest's own ELF file, where it has one.
  ///   - host: What the host can do; nil asks this machine, on which the guest ran.
  init(_ guest: GuestScene, of commandLine: QEMUCommandLine, image: GuestImage?, host: HostFacts? = nil) {
    self.init(ending: Ending(guest.ending))
    self.commandLine = commandLine
    self.image = image
    kernelFile = guest.kernelFile.map { Sourced($0, .image(citedName(commandLine.kernelPath ?? "-kernel"))) }
    memory = guest.memory
    memoryMap = guest.memory.map
    log = Sourced.messages(of: QEMULog.parse(utf8: guest.standardError), named: "QEMU's standard error")
    accelerator = Self.accelerator(guest.identity)
    lastWords = guest.lastLine.map { Sourced($0.text, .log(name: "QEMU's standard error", line: $0.number)) }
    if !guest.textScreen.isEmpty { textScreen = Sourced(guest.textScreen, .qmp("the VGA's registers and memory")) }
    if case .panicked(let data?) = guest.ending {
      panicInformation = GuestPanicInformation(data).map { Sourced($0, .qmp("GUEST_PANICKED")) }
    }
    takeProcessors(guest)
    takeFeatures(guest.identity)
    take(guest.recording)
    self.host = host ?? HostFacts(asking: accelerator?.value)
  }

  private mutating func take(_ recording: KVMRecording) {
    switch recording {
    case .recorded(let recording): take(recording)
    case .refused(let refusal): traceLack = RecordingLack(reason: refusal.lack, remedy: refusal.remedy)
    case .notWanted:
      if accelerator?.value == .kvm {
        traceLack = RecordingLack(reason: "they were not recorded", remedy: "inquest run without --no-trace")
      }
    }
  }

  private mutating func take(_ recording: FlightRecording) {
    if let refusal = recording.account.lostRegisters {
      registersLack = RecordingLack(reason: refusal.lack, remedy: refusal.remedy)
    }
    trace = recording.records()
    traceHoles = Set(recording.samples.indices.filter { recording.samples[$0].followsLoss })
    let account = recording.account
    if account.dropped > 0 {
      lostEvents = LostEvents(count: account.dropped, of: account.met, areAllPlaced: !account.hasUnplacedLosses)
    }
  }

  static func accelerator(_ identity: GuestIdentity?) -> Sourced<Accelerator>? {
    identity?.usesKVM.map { Sourced($0 ? .kvm : .tcg, .qmp("query-kvm")) }
  }

  /// The registers at the end, and those that TCG logged while the guest ran.
  private mutating func takeProcessors(_ guest: GuestScene) {
    if let registers = guest.registers {
      processors = ObservedProcessor.all(in: QEMULog.parse(registers)) { _ in
        .registers("\(guest.askedOver): info registers")
      }
    }
    if let run = guest.secondRun {
      secondRunWentOn = run.wentOn
      processorsOfSecondRun = ObservedProcessor.all(in: QEMULog.parse(run.text)) { _ in
        .registers("QMP: info registers, in a second run under TCG")
      }
    }
    let logged = QEMULog.parse(utf8: guest.log)
    log += Sourced.messages(of: logged.filter { $0.message == .tripleFault }, named: "QEMU's log")
    logsTripleFaults = guest.logsTripleFaults
    log += Sourced.messages(of: QEMULog.parse(utf8: guest.interruptLog), named: "QEMU's log of interrupts")
    watched = guest.samples.map { WatchedMoment($0, over: guest.askedOver) }
    samples = ObservedProcessor.all(in: logged) { _ in .registers("QEMU's log of a control-register write") }
      .filter { $0.state.cr0.contains(.paging) }
  }

  mutating func takeFeatures(_ identity: GuestIdentity?) {
    guard let identity else { return }
    guestFeatures = identity.features.map { Sourced($0, .qmp("feature-words")) }
    physicalAddressBits = identity.physicalAddressBits.map { Sourced($0, .qmp("qom-get phys-bits")) }
  }
}

extension ObservedProcessor {
  /// The processors whose registers a log shows whole, in order.
  ///
  /// - Parameter source: What to cite, from the first line of the dump.
  static func all(in log: some Sequence<QEMULogEntry>, source: (Int) -> Source) -> [ObservedProcessor] {
    log.compactMap { entry in
      guard case .registerDump(let dump) = entry.message, let state = dump.state ?? dump.stateWithoutTables else {
        return nil
      }
      return ObservedProcessor(
        index: dump.cpu ?? 0, state: state, source: source(entry.lines.lowerBound), knowsTables: dump.state != nil)
    }
  }
}

extension WatchedMoment {
  init(_ sample: GuestSample, over door: String) {
    self.init(
      processors: ObservedProcessor.all(in: QEMULog.parse(sample.registers)) { _ in
        .registers("\(door): info registers")
      },
      interruptControllers: PICState.all(inMonitorText: sample.interruptControllers),
      pins: IOAPICPin.all(inMonitorText: sample.interruptControllers),
      localAPICs: LocalAPICState.all(inMonitorText: sample.localAPICs))
  }
}

extension Ending {
  init(_ ending: GuestEnding) {
    self =
      switch ending {
      case .reset: .reset
      case .poweroff: .poweredOff
      case .panicked: .panicked
      case .internalError: .internalError
      case .shutDown: .shutDown
      case .interrupted: .stopped
      case .timedOut: .timedOut
      case .stalled: .stalled
      case .stopped, .ioError, .watchdog: .paused
      case .exited(let status): .exited(status: Int(status))
      case .signalled(let signal): .signalled(Int(signal))
      case .silent(let silence): .silent(silence)
      case .refusedToStart, .gone: .unknown
      }
  }
}
