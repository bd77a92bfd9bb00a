extension QEMUCommandLine {
  /// The options that let a guest write to the host in spite of ``leavingNoTrace``, or take what is not there a second time.
  ///
  /// `-snapshot` puts a layer over each drive that does not say `snapshot=` itself, and over no `-blockdev`
  /// (softmmu/vl.c: drive_enable_snapshot, configure_blockdev, 7.2).
  public var optionsWithSideEffects: [Option] { options.filter(\.hasSideEffects) }

  /// The command line for a run of which nothing stays: disks are written to in memory or temporary files (`-snapshot`), and
  /// files that only take what the guest or QEMU says are left as they are.
  public var leavingNoTrace: Self {
    var copy = self
    for option in options.reversed() {
      guard let value = option.silencedValue else { continue }
      copy.arguments[option.words.upperBound - 1] = value
    }
    return copy.adding(["-snapshot"])
  }

  /// The command line with an option that wins over those of its name.
  ///
  /// - Parameter option: Its name, with the dash, and its value.
  public func applying(_ option: [String]) -> Self {
    option.first == "-cpu" && option.count == 2 ? replacingCPU(option[1]) : adding(option)
  }
}

extension QEMUCommandLine.Option {
  fileprivate var hasSideEffects: Bool {
    let value = value ?? ""
    switch name {
    case "drive":
      let properties = OptionProperties(value)
      return properties["snapshot"] == "off" && !isOn(properties["readonly"])
    case "blockdev": return !isOn(OptionProperties(value, impliedKey: "driver")["read-only"])
    case "fsdev", "virtfs": return !isOn(OptionProperties(value, impliedKey: "fsdriver")["readonly"])
    case "mem-path", "readconfig", "incoming": return true
    case "object":
      let properties = OptionProperties(value, impliedKey: "qom-type")
      return properties["qom-type"] == "memory-backend-file" && isOn(properties["share"])
    case "device":
      let driver = OptionProperties(value, impliedKey: "driver")["driver"] ?? ""
      return ["vfio-", "vhost-user", "scsi-generic", "usb-host", "usb-mtp"].contains { driver.hasPrefix($0) }
    default: return false
    }
  }

  private func isOn(_ value: String?) -> Bool { ["on", "yes", "true", "y"].contains(value) }

  /// What stands in for the option's value where it names a file that is only written; nil for every other option.
  fileprivate var silencedValue: String? {
    guard let value else { return nil }
    switch name {
    case "D": return "/dev/null"
    case "serial", "parallel", "debugcon", "monitor", "virtioconsole": return value.hasPrefix("file:") ? "null" : nil
    case "chardev":
      let properties = OptionProperties(value, impliedKey: "backend")
      guard properties["backend"] == "file", let id = properties["id"] else { return nil }
      return "null,id=\(id)"
    default: return nil
    }
  }
}
