/// What QEMU does when the guest resets, powers off, panics or hangs (`-action`, `-no-reboot`, `-no-shutdown`).
public struct LifecycleActions: Hashable, Sendable {
  /// `reset` or `shutdown`; nil leaves the default, `reset`.
  public var reboot: String?
  /// `poweroff` or `pause`; nil leaves the default, `poweroff`.
  public var shutdown: String?
  /// `pause`, `shutdown`, `exit-failure` or `none`; nil leaves the default, `shutdown`.
  public var panic: String?
  /// `reset`, `shutdown`, `poweroff`, `inject-nmi`, `pause`, `debug` or `none`; nil leaves the default, `reset`.
  public var watchdog: String?

  public init(reboot: String? = nil, shutdown: String? = nil, panic: String? = nil, watchdog: String? = nil) {
    self.reboot = reboot
    self.shutdown = shutdown
    self.panic = panic
    self.watchdog = watchdog
  }
}

/// The isa-debug-exit device, through which a guest ends QEMU with status `(value << 1) | 1`.
public struct DebugExitPort: Hashable, Sendable {
  /// The first I/O port; 0x501 unless given (`hw/misc/debugexit.c`, 7.2).
  public var ioBase: UInt16
  /// How many ports it has; 2 unless given.
  public var ioSize: UInt16

  public init(ioBase: UInt16, ioSize: UInt16) {
    self.ioBase = ioBase
    self.ioSize = ioSize
  }
}

extension QEMUCommandLine {
  /// `-action` and its old short forms, the last of each winning.
  public var lifecycleActions: LifecycleActions {
    var actions = LifecycleActions()
    for option in options {
      switch option.name {
      case "no-reboot": actions.reboot = "shutdown"
      case "no-shutdown": actions.shutdown = "pause"
      case "watchdog-action": actions.watchdog = option.value
      case "action":
        for (key, value) in OptionProperties(option.value ?? "").pairs {
          switch key {
          case "reboot": actions.reboot = value
          case "shutdown": actions.shutdown = value
          case "panic": actions.panic = value
          case "watchdog": actions.watchdog = value
          default: break
          }
        }
      default: break
      }
    }
    return actions
  }

  /// `-S`: the guest does not run before someone says `cont`.
  public var startsPaused: Bool { has("S") }

  /// `-daemonize`: QEMU leaves its terminal and its parent.
  public var daemonizes: Bool { has("daemonize") }

  /// `-kernel`'s file.
  public var kernelPath: String? { value(of: "kernel") }

  /// `-append`'s text.
  public var kernelArguments: String? { value(of: "append") }

  /// The items of `-d`, such as `int` and `cpu_reset`.
  public var logItems: [String] { value(of: "d").map { $0.split(separator: ",").map(String.init) } ?? [] }

  /// `-D`'s file; nil sends the log to standard error.
  public var logPath: String? { value(of: "D") }

  /// The isa-debug-exit device, where there is one and its ports can be told.
  public var debugExitPort: DebugExitPort? {
    for option in options(named: "device") {
      let properties = OptionProperties(option.value ?? "", impliedKey: "driver")
      guard properties["driver"] == "isa-debug-exit" else { continue }
      guard let base = port(properties["iobase"], default: 0x501), let size = port(properties["iosize"], default: 2)
      else { return nil }
      return DebugExitPort(ioBase: base, ioSize: size)
    }
    return nil
  }

  /// The port of the pvpanic device, where there is one and it can be told (hw/misc/pvpanic-isa.c, 7.2).
  public var panicPort: UInt16? {
    let devices = options(named: "device").map { OptionProperties($0.value ?? "", impliedKey: "driver") }
    return devices.first { $0["driver"] == "pvpanic" }.flatMap { port($0["ioport"], default: 0x505) }
  }

  private func port(_ text: String?, default value: UInt16) -> UInt16? {
    guard let text else { return value }
    if text.hasPrefix("0x") || text.hasPrefix("0X") { return UInt16(text.dropFirst(2), radix: 16) }
    return UInt16(text)
  }
}
