extension QEMUCommandLine {
  /// The sockets, `unix:PATH` or `tcp:HOST:PORT`, at which this QEMU listens for QMP clients, without their options.
  ///
  /// From `-qmp`, `-qmp-pretty`, and `-chardev socket` that a `-mon` with `mode=control` names (qemu-options.hx, 7.2).
  public var qmpServers: [String] { monitorServers(options: ["qmp", "qmp-pretty"], isMode: { $0 == "control" }) }

  /// The same for people: from `-monitor`, and from a `-mon` with another mode or none.
  public var humanMonitorServers: [String] { monitorServers(options: ["monitor"], isMode: { $0 != "control" }) }

  /// Where people's monitor is besides: `stdio`, `vc`, `pty`, `mon:stdio`; nobody but who sees that can use it.
  public var monitorElsewhere: String? {
    let devices = options(named: "monitor").compactMap(\.value)
    if let device = devices.last(where: { Self.server($0).isEmpty && $0 != "none" && $0 != "null" }) { return device }
    return standardIOOptions.isEmpty ? nil : "stdio"
  }

  private func monitorServers(options names: Set<String>, isMode: (String?) -> Bool) -> [String] {
    var servers: [String] = []
    for option in options {
      guard let kind = option.name else { continue }
      if names.contains(kind) {
        servers += Self.server(option.value ?? "")
      } else if kind == "mon" {
        let monitor = OptionProperties(option.value ?? "", impliedKey: "chardev")
        guard isMode(monitor["mode"]), let name = monitor["chardev"] else { continue }
        servers += characterDevice(named: name)
      }
    }
    return servers
  }

  /// `unix:PATH,server=on,wait=off`, or with `server` alone, as before QEMU 6.0.
  private static func server(_ device: String) -> [String] {
    let kinds = ["unix:", "tcp:", "telnet:"]
    guard let comma = device.firstIndex(of: ","), let kind = kinds.first(where: device.hasPrefix) else { return [] }
    let properties = OptionProperties(String(device[device.index(after: comma)...]))
    guard properties["server"] == "on" else { return [] }
    let address = device[..<comma]
    // The two differ in what is sent first, which is taken out.
    return [kind == "telnet:" ? "tcp:" + address.dropFirst(kind.count) : String(address)]
  }

  private func characterDevice(named name: String) -> [String] {
    for option in options(named: "chardev") {
      let device = OptionProperties(option.value ?? "", impliedKey: "backend")
      guard device["id"] == name, device["backend"] == "socket", device["server"] == "on" else { continue }
      if let path = device["path"] { return ["unix:\(path)"] }
      if let port = device["port"] { return ["tcp:\(device["host"] ?? "localhost"):\(port)"] }
    }
    return []
  }
}
