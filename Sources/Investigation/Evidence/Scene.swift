public import GuestImage
public import KVM
public import QEMU
public import X86

/// Everything that is known of one guest: what was read when it died, or what a file tells.
///
/// What is not known is nil or empty. Nothing here was worked out; that is the investigation's part.
public struct Scene {
  public var ending: Ending
  public var commandLine: QEMUCommandLine?
  /// The accelerator that ran the guest, which need not be the first that the command line names.
  public var accelerator: Sourced<Accelerator>?
  /// The vCPUs at the end; empty where nothing shows their registers.
  public var processors: [ObservedProcessor]
  /// The vCPUs of the same guest in a second run, under TCG, whose memory agrees with this one's: at its death, or where it went on.
  public var processorsOfSecondRun: [ObservedProcessor]
  /// Whether that run went on, past an instruction that the processor of this one refuses.
  public var secondRunWentOn: Bool
  /// The vCPUs at an earlier moment, with what moment that was.
  public var samples: [ObservedProcessor]
  /// The guest at several moments while it ran, oldest first, over the time in which it was to make progress.
  public var watched: [WatchedMoment]
  public var memory: (any PhysicalMemory)?
  /// What answers at each physical address.
  public var memoryMap: MemoryMap?
  public var trace: [KVMRecord]
  /// Where events were lost: before the records at these indices of `trace`.
  public var traceHoles: Set<Int>
  /// The events that the kernel counted and did not write down; nil where it lost none, or nothing tells.
  public var lostEvents: LostEvents?
  /// Why KVM's tracepoints were not recorded in the run that this is of; nil where they were, or it was no run of Inquest's.
  public var traceLack: RecordingLack?
  /// Why nothing kept the registers that KVM clears at a triple fault; nil where something did, or nothing tells.
  public var registersLack: RecordingLack?
  /// What QEMU printed, as far as it says something about the guest, in order.
  public var log: [Sourced<QEMUMessage>]
  /// The last line that QEMU printed, whatever it is; nil where it printed nothing.
  public var lastWords: Sourced<String>?
  /// The lines of the VGA's text screen; nil where it has none or nothing tells. The guest wrote them.
  public var textScreen: Sourced<[String]>?
  /// What QEMU told of a guest that reported its own panic; nil where it told nothing but that.
  public var panicInformation: Sourced<GuestPanicInformation>?
  /// Whether `log` would have a triple fault if there had been one: QEMU was asked to log it, and TCG does.
  public var logsTripleFaults: Bool
  /// The guest's own ELF image.
  public var image: GuestImage?
  /// The file that `-kernel` names, where it is a Linux kernel, as it was when the guest was started.
  public var kernelFile: Sourced<LinuxKernelFile>?
  /// The features of the guest's processor as QEMU tells them.
  public var guestFeatures: Sourced<FeatureReport>?
  /// MAXPHYADDR as the guest sees it.
  public var physicalAddressBits: Sourced<Int>?
  public var host: HostFacts

  public init(ending: Ending = .unknown) {
    self.ending = ending
    processors = []
    processorsOfSecondRun = []
    secondRunWentOn = false
    samples = []
    watched = []
    trace = []
    traceHoles = []
    log = []
    logsTripleFaults = false
    host = HostFacts()
  }

  /// Leaves of the trace the events of one thread only.
  public mutating func takeTrace(ofThread thread: Int32) {
    var kept: [KVMRecord] = []
    var holes: Set<Int> = []
    for (index, record) in trace.enumerated() {
      if traceHoles.contains(index) { holes.insert(kept.count) }
      if record.threadID == thread { kept.append(record) }
    }
    (trace, traceHoles) = (kept, holes)
  }
}

/// Why something was not recorded.
public struct RecordingLack: Hashable, Sendable {
  /// `tracefs is not mounted`.
  public var reason: String
  /// What grants it; nil where nothing does on that host.
  public var remedy: String?

  public init(reason: String, remedy: String?) {
    self.reason = reason
    self.remedy = remedy
  }

  /// The remedy, or what is left without one.
  var advice: String {
    remedy ?? "nothing grants it on that host: run the guest on another, or in a virtual machine with a KVM of its own"
  }
}

/// The registers of one vCPU, with where they came from.
public struct ObservedProcessor: Hashable, Sendable {
  public var index: Int
  public var state: ProcessorState
  public var source: Source
  /// Whether `state` has the real GDTR, IDTR, TR and LDTR; if not, tables that may be anywhere stand in their place.
  public var knowsTables: Bool

  public init(index: Int, state: ProcessorState, source: Source, knowsTables: Bool = true) {
    self.index = index
    self.state = state
    self.source = source
    self.knowsTables = knowsTables
  }
}

/// A guest at one moment while it ran.
public struct WatchedMoment: Hashable, Sendable {
  /// At how many moments what an interrupt controller shows must be the same to be called lasting.
  static let leastLooks = 8

  public var processors: [ObservedProcessor]
  /// The 8259s; empty where they were not asked for.
  public var interruptControllers: [PICState]
  /// The pins of the I/O APICs; empty where they were not asked for.
  public var pins: [IOAPICPin]
  /// The local APICs; empty where they were not asked for.
  public var localAPICs: [LocalAPICState]

  public init(
    processors: [ObservedProcessor], interruptControllers: [PICState] = [], pins: [IOAPICPin] = [],
    localAPICs: [LocalAPICState] = []
  ) {
    self.processors = processors
    self.interruptControllers = interruptControllers
    self.pins = pins
    self.localAPICs = localAPICs
  }
}

/// How a run of QEMU came to its end, as QEMU told it.
public enum Ending: Hashable, Sendable {
  /// Nothing tells: a file was examined.
  case unknown
  /// QEMU exited by itself with this status.
  case exited(status: Int)
  /// A signal ended QEMU.
  case signalled(Int)
  /// The guest turned the machine off.
  case poweredOff
  /// The guest was reset: a triple fault, or a reset that it asked for. QEMU reports both alike.
  case reset
  /// It stands still after a reset, a power-off or a panic, and nothing told which.
  case shutDown
  /// KVM gave up (`KVM internal error`), and QEMU paused the guest.
  case internalError
  /// The guest said that it panicked (pvpanic).
  case panicked
  /// The user ended it.
  case stopped
  /// It still ran and was suspected of getting nowhere.
  case stalled
  /// It still ran, or stood still, when the time limit was reached.
  case timedOut
  /// QEMU paused it for another reason: a disk's error, a watchdog.
  case paused
  /// QEMU did not answer when it was to end, and was killed.
  case silent(Silence?)
}

/// What the host can do, as far as it was asked or told.
public struct HostFacts: Hashable, Sendable {
  /// The release of the host's kernel (`6.1.0-18-amd64`).
  public var kernelRelease: Sourced<String>?
  /// KVM's module for the host's processor: `kvm_intel`, `kvm_amd` or `kvm_pvm`.
  public var vendorModule: Sourced<String>?
  /// Whether KVM uses EPT or NPT; without it, it walks the guest's tables itself for every access.
  public var usesTwoDimensionalPaging: Sourced<Bool>?
  /// Whether the host's processor has 1 GiB pages.
  public var processorHasGiBPages: Sourced<Bool>?
  /// Whether the host's processor is AMD's or Hygon's.
  public var processorIsAMD: Sourced<Bool>?
  /// Whether KVM reads 0 from an MSR that it does not know, in place of raising #GP, and drops writes to it (kvm.ignore_msrs).
  public var ignoresUnknownMSRs: Sourced<Bool>?
  /// Features that the accelerator at work can give a guest, or cannot.
  public var offers: Sourced<FeatureReport>?
  /// The same of the host's KVM, whether or not it runs this guest.
  public var kvmOffers: Sourced<FeatureReport>?

  public init() {}
}

extension Sourced<QEMUMessage> {
  /// The messages of a log, each with the first of its lines.
  ///
  /// - Parameter name: What to call the log in a citation.
  public static func messages(of log: [QEMULogEntry], named name: String) -> [Self] {
    log.map { Self($0.message, .log(name: name, line: $0.lines.lowerBound)) }
  }
}
