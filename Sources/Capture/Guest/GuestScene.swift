public import QEMU

/// What a second run of a guest, under TCG, had in its registers.
public struct SecondRunRegisters: Hashable, Sendable {
  /// The monitor's `info registers -a`.
  public var text: String
  /// Whether TCG went on from there, past an instruction that the processor of the first run refuses; false at a triple fault.
  public var wentOn: Bool

  public init(text: String, wentOn: Bool) { (self.text, self.wentOn) = (text, wentOn) }
}

/// What can be known of a guest at the moment it stopped, or after QEMU has gone.
public struct GuestScene {
  public let ending: GuestEnding
  /// When the guest was found to stand still, or QEMU to have ended.
  public let moment: ContinuousClock.Instant
  /// Nil if QEMU ended before it could be asked.
  public let identity: GuestIdentity?
  /// The monitor's `info registers -a`; nil once QEMU has gone.
  public let registers: String?
  /// The registers of the same guest in a second run, under TCG: where KVM clears them, and the memory of both runs agrees. Nil where no such run
  /// was made.
  public var secondRun: SecondRunRegisters?
  /// Under TCG the first thing to read registers from when QEMU has gone: the log, with a dump of all registers at each
  /// address of ``GuestRun/Options/loggedAddresses`` and at each reset. Empty where the user has QEMU's log.
  public let log: [UInt8]
  /// Whether ``log`` has a triple fault if there was one: under TCG, unless the user has QEMU's log.
  public let logsTripleFaults: Bool
  /// What TCG logged of exceptions and interrupts in a moment before a guest that ran was stopped; else empty.
  public let interruptLog: [UInt8]
  /// Looks at a guest that was suspected of getting nowhere, oldest first.
  public let samples: [GuestSample]
  /// The last 256 KiB of QEMU's standard error.
  public let standardError: [UInt8]
  /// The last 64 KiB of QEMU's standard output, where the guest's console often is; empty unless it was to be kept.
  public let standardOutput: [UInt8]
  /// The VGA's text screen, from the top, each row without the blanks at its end; empty where it has none or nothing could be read.
  public let textScreen: [String]
  /// Valid until the guest goes on or QEMU ends; the shared part of it stays.
  public let memory: CapturedMemory
  /// What the kvm and kvmmmu tracepoints recorded last.
  public let recording: KVMRecording
  /// Why QEMU last said it would shut down or reset; nil if it never did.
  public let shutdownCause: ShutdownCause?
  /// By what QEMU was asked for registers: `QMP`, `monitor`, `gdbstub`.
  public let askedOver: String

  /// The file that `-kernel` names, where it is a Linux kernel, as it was at the guest's start.
  public var kernelFile: LinuxKernelFile?

  public static let usualDoor = "QMP"

  /// A scene that was not met here, or not now: every part as its property says.
  public init(
    ending: GuestEnding, moment: ContinuousClock.Instant, identity: GuestIdentity?, registers: String?, log: [UInt8],
    logsTripleFaults: Bool, interruptLog: [UInt8] = [], samples: [GuestSample] = [], standardError: [UInt8],
    standardOutput: [UInt8] = [], textScreen: [String] = [], memory: CapturedMemory, recording: KVMRecording,
    shutdownCause: ShutdownCause?, askedOver: String = usualDoor
  ) {
    self.ending = ending
    self.moment = moment
    self.identity = identity
    self.registers = registers
    self.log = log
    self.logsTripleFaults = logsTripleFaults
    self.interruptLog = interruptLog
    self.samples = samples
    self.standardError = standardError
    self.standardOutput = standardOutput
    self.textScreen = textScreen
    self.memory = memory
    self.recording = recording
    self.shutdownCause = shutdownCause
    self.askedOver = askedOver
  }
}

extension GuestScene {
  /// The last line of QEMU's standard error that is not blank, and its number within what was kept, from 1.
  public var lastLine: (text: String, number: Int)? { Self.lastLine(of: standardError) }

  /// The same of QEMU's standard output.
  public var lastOutput: String? { Self.lastLine(of: standardOutput)?.text }

  private static func lastLine(of bytes: [UInt8]) -> (text: String, number: Int)? {
    let lines = String(decoding: bytes, as: UTF8.self)
      .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    guard let index = lines.lastIndex(where: { !$0.allSatisfy(\.isWhitespace) }) else { return nil }
    return (String(lines[index]), index + 1)
  }
}

/// Whether KVM's tracepoints were recorded.
public enum KVMRecording {
  case recorded(FlightRecording)
  /// The guest does not run under KVM, or recording was not asked for.
  case notWanted
  case refused(RecordingRefusal)
}

/// What to do with a frozen guest once it has been examined.
public enum Resumption: Hashable, Sendable {
  /// What QEMU would have done without Inquest: reset, end, or stay as it is, as the user's `-no-reboot`,
  /// `-no-shutdown` and `-action` say.
  case carryOn
  /// End QEMU.
  case end
  /// Leave the guest as it stands, with ``GuestRun/Options/doors`` open, until its user ends QEMU or this process.
  case stay
}

/// What a run came to.
public struct GuestOutcome {
  /// How the run ended: for a guest that was frozen and then ended, what froze it.
  public let ending: GuestEnding
  /// How QEMU itself ended.
  public let processEnd: ProcessEnd
  /// The last scene; one of ``GuestEnding/exited(status:)`` and its kin was not shown before.
  public let scene: GuestScene
  let recorder: FlightRecorder?

  /// All that the recorder has, while a scene has what a verdict needs; nil where nothing was recorded.
  public func wholeRecording() -> FlightRecording? { recorder?.read() }
}
