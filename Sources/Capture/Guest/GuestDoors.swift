import QEMU
import SystemPackage

/// The ways that are opened to a guest that stands still, so that its user can look at it.
public struct GuestDoors: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// A gdbstub.
  public static let debugger = Self(rawValue: 1)
  /// QEMU's human monitor.
  public static let monitor = Self(rawValue: 2)
}

/// Where they are.
public struct OpenDoors: Hashable, Sendable {
  /// What `target remote` takes; nil where there is no gdbstub.
  public var debugger: String?
  /// The path of the monitor's socket; nil where there is none.
  public var monitor: String?
}

/// The sockets of a run's doors.
final class DoorSockets {
  private static let debuggerName = "gdb"
  private static let monitorName = "monitor"

  private let doors: GuestDoors
  private let folder: PrivateFolder

  init(_ doors: GuestDoors) throws(Errno) {
    self.doors = doors
    folder = try PrivateFolder(for: [Self.debuggerName, Self.monitorName])
  }

  /// What QEMU's command line needs: a monitor cannot be made later, a gdbstub can.
  var arguments: [String] {
    guard doors.contains(.monitor) else { return [] }
    return [
      "-chardev", "socket,id=inquest-monitor,path=\(path(Self.monitorName)),server=on,wait=off",
      "-mon", "chardev=inquest-monitor,mode=readline",
    ]
  }

  /// Opens what is not open yet, and says where everything is.
  ///
  /// - Parameter line: Its own gdbstub is left as it is: QEMU has one.
  func open(_ session: any QMPSession, on line: QEMUCommandLine) -> OpenDoors {
    var open = OpenDoors()
    if doors.contains(.monitor) { open.monitor = path(Self.monitorName) }
    guard doors.contains(.debugger) else { return open }
    if let own = line.gdbServers.last {
      open.debugger = SocketAddress(device: own)?.description
    } else if let answer = session.monitor("gdbserver unix:\(path(Self.debuggerName)),server=on,wait=off"),
      !answer.contains("Could not open")
    {
      open.debugger = path(Self.debuggerName)
    }
    return open
  }

  private func path(_ name: String) -> String { folder.path.appending(name).string }
}

extension SocketAddress {
  /// From a character device as `-gdb` takes it (`tcp::1234,nowait`), without its options; nil where it is no socket.
  fileprivate init?(device: String) {
    guard device.hasPrefix("tcp:") || device.hasPrefix("unix:"), let address = device.split(separator: ",").first else {
      return nil
    }
    self.init(String(address))
  }
}
