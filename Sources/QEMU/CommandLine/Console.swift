extension QEMUCommandLine {
  /// The options that use QEMU's standard input and output.
  ///
  /// A character device on `stdio` or `mon:stdio`, a `-chardev stdio`, and `-nographic`, which puts the first serial
  /// port and the monitor there unless both are placed elsewhere (`softmmu/vl.c: qemu_create_default_devices`, 7.2).
  public var standardIOOptions: [Option] {
    options.filter { option in
      switch option.name {
      case "serial", "monitor", "qmp", "qmp-pretty", "parallel", "debugcon", "virtioconsole", "gdb":
        usesStandardIO(option.value ?? "")
      case "chardev": OptionProperties(option.value ?? "", impliedKey: "backend")["backend"] == "stdio"
      case "nographic": !(isSerialPortPlaced && isMonitorPlaced)
      default: false
      }
    }
  }

  private var isSerialPortPlaced: Bool { has("serial") || has("nodefaults") }

  /// A QMP monitor, too, does away with the default one.
  private var isMonitorPlaced: Bool { ["monitor", "qmp", "qmp-pretty", "mon", "nodefaults"].contains(where: has) }

  private func usesStandardIO(_ device: String) -> Bool {
    device == "stdio" || device == "mon:stdio" || device.hasPrefix("stdio,") || device.hasPrefix("mon:stdio,")
  }

  /// The kind of display asked for, such as `none`, `gtk` or `curses`; nil leaves QEMU's default.
  public var displayKind: String? {
    var kind: String?
    for option in options {
      switch option.name {
      case "display": kind = option.value.flatMap { OptionProperties($0, impliedKey: "type")["type"] }
      case "nographic": kind = "none"
      case "curses", "sdl": kind = option.name
      case "vnc": kind = "vnc"
      default: break
      }
    }
    return kind
  }

  /// The addresses at which gdb can connect; `-s` is `tcp::1234`.
  public var gdbServers: [String] {
    options.compactMap { option in
      switch option.name {
      case "s": "tcp::1234"
      case "gdb": option.value
      default: nil
      }
    }
  }
}
