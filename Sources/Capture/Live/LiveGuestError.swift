/// Why a running QEMU cannot be read.
public enum LiveGuestError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Nothing can be reached there, with errno.
  case cannotConnect(SocketAddress, errno: Int32)
  /// Somebody listens and says nothing.
  case silent(SocketAddress, SocketKind)
  /// What answers does not speak the protocol.
  case notSpoken(SocketAddress, SocketKind)
  /// A gdbstub that does not read physical memory: another program's, or QEMU's before 4.1.
  case notQEMU(SocketAddress)
  /// It is the socket of another QEMU than the one whose command line names it.
  case anotherQEMU(SocketAddress)
  /// Signals cannot be caught, with errno, so that the guest could stay stopped.
  case cannotWatch(errno: Int32)
  /// QEMU ended, closed the socket or fell silent.
  case lost(doing: String)
  /// QEMU refused something, with its own words.
  case refused(doing: String, explanation: String)

  /// What kind of QEMU's sockets.
  public enum SocketKind: String, Hashable, Sendable {
    case qmp = "QMP"
    case gdb = "the GDB remote protocol"
    case hmp = "like QEMU's monitor"
  }

  public var description: String {
    switch self {
    case .cannotConnect(let address, let errno): "cannot connect to \(address): \(systemError(errno))"
    case .silent(let address, .qmp):
      "\(address) does not answer; a QMP socket serves one client at a time: end the other, or give QEMU a second -qmp"
    case .silent(let address, .gdb):
      "\(address) does not answer; a gdbstub serves one debugger at a time: end the other"
    case .silent(let address, .hmp):
      "\(address) does not answer; a monitor's socket serves one client at a time: end the other"
    case .notSpoken(let address, let kind): "what answers at \(address) does not speak \(kind.rawValue)"
    case .notQEMU(let address):
      "the gdbstub at \(address) reads no physical memory; it must be that of QEMU 4.1 or later"
    case .anotherQEMU(let address): "another QEMU answers at \(address)"
    case .cannotWatch(let errno): "cannot catch signals, and so not stop the guest: \(systemError(errno))"
    case .lost(let what): "QEMU closed the connection or fell silent: \(what)"
    case .refused(let what, let explanation): "QEMU refused \(what): \(explanation)"
    }
  }
}
