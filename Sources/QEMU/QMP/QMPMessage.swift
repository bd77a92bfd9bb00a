/// What QEMU sends over QMP (docs/interop/qmp-spec).
public enum QMPMessage: Hashable, Sendable {
  /// The first message of a session.
  case greeting(QEMUVersion)
  /// The value that the command with this id returned.
  case reply(id: UInt64?, value: JSONValue)
  /// The command with this id was refused.
  case failure(id: UInt64?, QMPFailure)
  case event(QMPEvent)
}

/// QEMU's number: `major`.`minor`.`micro`, and what the packager adds.
public struct QEMUVersion: Hashable, Sendable {
  public var major: Int
  public var minor: Int
  public var micro: Int
  /// `Debian 1:7.2+dfsg-7+deb12u18+b3`; often empty.
  public var package: String

  public init(major: Int, minor: Int, micro: Int, package: String) {
    self.major = major
    self.minor = minor
    self.micro = micro
    self.package = package
  }

  /// The number alone: `7.2.22`.
  public var number: String { "\(major).\(minor).\(micro)" }
}

/// QEMU's refusal of a command.
public struct QMPFailure: Error, Hashable, Sendable {
  /// `GenericError`, `CommandNotFound`, …
  public var errorClass: String
  /// QEMU's own sentence.
  public var explanation: String

  public init(errorClass: String, explanation: String) {
    self.errorClass = errorClass
    self.explanation = explanation
  }
}

/// Something that happened in QEMU without being asked for.
public struct QMPEvent: Hashable, Sendable {
  /// `SHUTDOWN`, `STOP`, `RESUME`, `RESET`, `GUEST_PANICKED`, …
  public var name: String
  public var data: JSONValue?

  public init(name: String, data: JSONValue?) {
    self.name = name
    self.data = data
  }
}

/// Why QEMU shuts down or resets: `ShutdownCause` of qapi/run-state.json. A guest's triple fault is `guest-reset`, as
/// are its deliberate resets (accel/kvm/kvm-all.c: kvm_cpu_exec; target/i386/tcg/excp_helper.c: check_exception).
public struct ShutdownCause: RawRepresentable, Hashable, Sendable {
  public var rawValue: String

  public init(rawValue: String) { self.rawValue = rawValue }

  public static let guestReset = Self(rawValue: "guest-reset")
  public static let guestShutdown = Self(rawValue: "guest-shutdown")
  public static let guestPanic = Self(rawValue: "guest-panic")
  public static let subsystemReset = Self(rawValue: "subsystem-reset")
  /// QEMU got SIGINT, SIGTERM or SIGHUP.
  public static let hostSignal = Self(rawValue: "host-signal")
  /// The window was closed.
  public static let hostUI = Self(rawValue: "host-ui")
  public static let hostError = Self(rawValue: "host-error")
  public static let hostQuit = Self(rawValue: "host-qmp-quit")
  public static let hostReset = Self(rawValue: "host-qmp-system-reset")
}

/// Whether the virtual machine runs, and why it does not: `RunState` of qapi/run-state.json.
public struct RunState: RawRepresentable, Hashable, Sendable {
  public var rawValue: String

  public init(rawValue: String) { self.rawValue = rawValue }

  public static let prelaunch = Self(rawValue: "prelaunch")
  public static let running = Self(rawValue: "running")
  public static let paused = Self(rawValue: "paused")
  /// A breakpoint of a debugger.
  public static let debug = Self(rawValue: "debug")
  public static let shutdown = Self(rawValue: "shutdown")
  public static let internalError = Self(rawValue: "internal-error")
  public static let ioError = Self(rawValue: "io-error")
  public static let guestPanicked = Self(rawValue: "guest-panicked")
  public static let watchdog = Self(rawValue: "watchdog")
}
