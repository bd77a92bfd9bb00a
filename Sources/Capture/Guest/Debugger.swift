import QEMU
import SystemPackage
import X86

/// The other end of the gdbstub of a QEMU that is run here, for breakpoints only: the guest is stopped and set going, and
/// read, over QMP.
final class Debugger {
  /// The processor's debug registers, DR0 to DR3.
  private static let mostBreakpoints = 4

  /// What QEMU inherits; nil once it has.
  private(set) var stub: OwnedDescriptor?
  private let connection: GDBConnection
  private var breakpoints: Set<LinearAddress> = []

  init() throws(Errno) {
    let pair = try makeSocketPair()
    stub = pair.theirs
    connection = GDBConnection(pair.ours)
  }

  /// Closes QEMU's end here, so that its end is noticed.
  func closeStub() { stub = nil }

  /// Sets those of the breakpoints that QEMU takes; KVM of some hosts takes none.
  func setBreakpoints(_ addresses: [LinearAddress]) {
    guard (try? connection.negotiate(within: qemuAnswerTime)) != nil else { return }
    for address in addresses.prefix(Self.mostBreakpoints)
    where (try? connection.order(.insertBreakpoint(at: address))) != nil {
      breakpoints.insert(address)
    }
  }

  /// Takes a breakpoint out: where one was hit, the guest would come to it again.
  ///
  /// - Returns: Whether there was one.
  func removeBreakpoint(at address: LinearAddress) -> Bool {
    guard breakpoints.remove(address) != nil else { return false }
    try? connection.order(.removeBreakpoint(at: address))
    return true
  }
}

extension GuestRun {
  /// Whether the run needs a gdbstub, and the user has none of his own.
  var wantsDebugger: Bool { !options.breakpoints.isEmpty && !commandLine.has("s") && !commandLine.has("gdb") }
}
