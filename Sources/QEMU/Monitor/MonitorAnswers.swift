// What the human monitor says of QEMU itself, where there is no QMP to ask: a gdbstub passes its commands on.

extension QEMUVersion {
  /// `7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3`, from `info version` (monitor/hmp-cmds.c: hmp_info_version, 7.2).
  public init?(monitorText text: String) {
    let line = text.prefix { !$0.isNewline }
    let parts = line.split(separator: ".", maxSplits: 2)
    guard parts.count == 3, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
    let digits = parts[2].prefix { $0.isASCII && $0.isNumber }
    guard let micro = Int(digits) else { return nil }
    self.init(major: major, minor: minor, micro: micro, package: String(parts[2].dropFirst(digits.count)))
  }
}

extension RunState {
  /// `VM status: paused (prelaunch)`, from `info status`; without a word in parentheses the first word is the state
  /// (monitor/hmp-cmds.c: hmp_info_status, 7.2).
  public init?(monitorText text: String) {
    let line = text.prefix { !$0.isNewline }
    guard line.hasPrefix("VM status: ") else { return nil }
    let status = line.dropFirst("VM status: ".count)
    if let open = status.lastIndex(of: "("), status.hasSuffix(")") {
      self.init(rawValue: String(status[status.index(after: open)...].dropLast()))
    } else {
      self.init(rawValue: String(status.prefix { $0 != " " }))
    }
  }
}

extension VirtualCPU {
  /// The vCPUs of the machine's own, in the order of their objects.
  ///
  /// - Parameters:
  ///   - threads: The text of `info cpus`: `* CPU #0: thread_id=8284`.
  ///   - objects: The text of `info qom-tree /machine/unattached`, in which a CPU is `  /device[0] (qemu64-x86_64-cpu)`.
  public static func list(threads: String, objects: String) -> [VirtualCPU] {
    let threadIDs = threads.split(whereSeparator: \.isNewline).compactMap { line -> Int32? in
      guard let equals = line.lastIndex(of: "="), line[..<equals].hasSuffix("thread_id") else { return nil }
      return Int32(line[line.index(after: equals)...])
    }
    let numbers = objects.split(whereSeparator: \.isNewline).compactMap { line -> Int? in
      guard line.hasPrefix("  /device["), line.hasSuffix("-cpu)"), let close = line.firstIndex(of: "]") else {
        return nil
      }
      return Int(line[..<close].dropFirst("  /device[".count))
    }
    // A vCPU that was plugged in later is elsewhere in the tree.
    return zip(threadIDs, numbers.sorted()).enumerated().map { index, vcpu in
      VirtualCPU(index: index, threadID: vcpu.0, path: "/machine/unattached/device[\(vcpu.1)]")
    }
  }
}
