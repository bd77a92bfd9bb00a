import FoundationEssentials

/// A command for QEMU.
public struct QMPCommand: Hashable, Sendable {
  public var name: String
  public var arguments: [String: JSONValue]

  public init(_ name: String, _ arguments: [String: JSONValue] = [:]) {
    self.name = name
    self.arguments = arguments
  }

  /// Ends the negotiation; QEMU refuses every other command before it.
  public static let capabilities = Self("qmp_capabilities")
  public static let queryStatus = Self("query-status")
  public static let queryCPUs = Self("query-cpus-fast")
  public static let queryKVM = Self("query-kvm")
  public static let stop = Self("stop")
  public static let cont = Self("cont")
  public static let quit = Self("quit")
  public static let systemReset = Self("system_reset")

  /// A command of the human monitor, whose reply is text.
  public static func monitor(_ line: String) -> Self {
    Self("human-monitor-command", ["command-line": .string(line)])
  }

  /// What a guest's reset does: `reset` or `shutdown` (since QEMU 6.0).
  public static func setRebootAction(_ action: String) -> Self {
    Self("set-action", ["reboot": .string(action)])
  }

  /// A property of a QEMU object.
  public static func property(_ name: String, ofObjectAt path: String) -> Self {
    Self("qom-get", ["path": .string(path), "property": .string(name)])
  }

  /// The command as one line, with an id that the reply repeats.
  public func encoded(id: UInt64) -> [UInt8] {
    var message: [String: JSONValue] = ["execute": .string(name), "id": .unsigned(id)]
    if !arguments.isEmpty { message["arguments"] = .object(arguments) }
    // Encoding fails only for numbers that JSON lacks (infinity), and no command has numbers but the id.
    guard let text = try? JSONEncoder().encode(JSONValue.object(message)) else { return [] }
    return Array(text) + [UInt8(ascii: "\n")]
  }
}

/// A vCPU as `query-cpus-fast` lists it.
public struct VirtualCPU: Hashable, Sendable {
  public var index: Int
  /// The host thread that runs it: the thread ID of its KVM events.
  public var threadID: Int32
  /// Where its QEMU object is: `/machine/unattached/device[0]`.
  public var path: String

  public init(index: Int, threadID: Int32, path: String) {
    self.index = index
    self.threadID = threadID
    self.path = path
  }

  /// The vCPUs of a reply to ``QMPCommand/queryCPUs``; entries that lack a member are left out.
  public static func list(_ reply: JSONValue) -> [VirtualCPU] {
    (reply.array ?? []).compactMap { entry in
      guard
        let index = entry["cpu-index"]?.uint64.flatMap({ Int(exactly: $0) }),
        let thread = entry["thread-id"]?.uint64.flatMap({ Int32(exactly: $0) }),
        let path = entry["qom-path"]?.string
      else { return nil }
      return VirtualCPU(index: index, threadID: thread, path: path)
    }
  }
}
