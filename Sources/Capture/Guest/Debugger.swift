import QEMU
import SystemPackage
import X86

/// The other end of the gdbstub of a QEMU that is run here, for breakpoints only: the guest is stopped and set going, and
/// read, over QMP.
final class Debugger {
  /// DR0 to DR3: as many breakpoints as KVM takes.
  static let debugRegisters = 4

  /// What QEMU inherits; nil once it has.
  private(set) var stub: OwnedDescriptor?
  private let connection: GDBConnection
  /// How many visits are left of each breakpoint.
  private var visits: [LinearAddress: Int] = [:]
  /// Those that were taken out to let the guest past them, and come back when it is at another.
  private var passed: [LinearAddress] = []

  init() throws(Errno) {
    let pair = try makeSocketPair()
    stub = pair.theirs
    connection = GDBConnection(pair.ours)
  }

  /// Closes QEMU's end here, so that its end is noticed.
  func closeStub() { stub = nil }

  /// Sets those of the breakpoints that QEMU takes; KVM of some hosts takes none.
  ///
  /// - Parameters:
  ///   - limit: How many there may be.
  ///   - visits: How often each is stopped at.
  func setBreakpoints(_ addresses: [LinearAddress], limit: Int, visits: Int) {
    guard (try? connection.negotiate(within: qemuAnswerTime)) != nil else { return }
    for address in addresses.prefix(limit) where insert(address) { self.visits[address] = visits }
  }

  /// Lets the guest past a breakpoint that it stands at: it is taken out, or the guest would come to it again at once.
  ///
  /// - Returns: Whether there is one.
  func visit(_ address: LinearAddress) -> Bool {
    guard let left = visits[address] else { return false }
    for other in passed where other != address { _ = insert(other) }
    passed = left > 1 ? [address] : []
    visits[address] = left > 1 ? left - 1 : nil
    try? connection.order(.removeBreakpoint(at: address))
    return true
  }

  private func insert(_ address: LinearAddress) -> Bool {
    (try? connection.order(.insertBreakpoint(at: address))) != nil
  }
}

extension GuestRun {
  /// Whether the run needs a gdbstub, and the user has none of his own.
  var wantsDebugger: Bool { !options.breakpoints.isEmpty && !commandLine.has("s") && !commandLine.has("gdb") }
}
