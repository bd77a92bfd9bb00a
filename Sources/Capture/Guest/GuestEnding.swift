public import QEMU

/// How a run of a guest ended, or why it stands still.
public enum GuestEnding: Hashable, Sendable {
  // Frozen: QEMU is alive and can be asked.

  /// The guest reset the machine: a triple fault or a deliberate reset, which QEMU does not tell apart.
  case reset
  /// It was found to stand still after a reset, a power-off or a panic, and nothing told which.
  case shutDown
  /// The guest powered the machine off.
  case poweroff
  /// The guest reported its own panic (pvpanic and its kin), with QEMU's JSON on it.
  case panicked(JSONValue?)
  /// KVM gave up: emulation failure, failed entry, or an error of KVM_RUN. QEMU's standard error says which.
  case internalError
  /// A disk failed and the device's `werror` or `rerror` stops the guest.
  case ioError
  /// A watchdog device expired with the action `pause`.
  case watchdog
  /// The guest runs, and perhaps gets nowhere: it was suspected of that, and stopped to be judged.
  case stalled
  /// The time limit passed; the guest was running.
  case timedOut
  /// Stopped for another reason, by QEMU's name for the state.
  case stopped(RunState)

  // Gone: only what was kept is left.

  /// QEMU ended by itself: isa-debug-exit, `quit`, a closed window.
  case exited(status: Int32)
  /// QEMU was killed or crashed.
  case signalled(Int32)
  /// The user's Ctrl-C, or SIGTERM or SIGHUP, ended QEMU.
  case interrupted(signal: Int32)
  /// QEMU did not answer when it was to end, and was killed; what its main thread did, where that could be seen.
  case silent(Silence?)
  /// QEMU ended before the guest existed; its standard error says why.
  case refusedToStart(ProcessEnd)
  /// QEMU, which was somebody else's child, is no more, and nobody told how it ended.
  case gone
}

/// Why a guest could not be run at all. A refusal by QEMU is ``GuestEnding/refusedToStart(_:)`` instead.
public enum CaptureError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The program cannot be started, with errno.
  case cannotStart(program: String, errno: Int32)
  /// The option takes QEMU out of reach.
  case unsupportedOption(String)
  /// The program runs and is silent on the control socket: perhaps it is not QEMU.
  case noGreeting(program: String)
  /// QEMU's control socket fell silent or brought something else than QMP.
  case controlLost(program: String)
  /// QEMU does not start with these arguments; the reason is its own.
  case refused(program: String, reason: String)
  /// A system call failed that should not.
  case system(doing: String, errno: Int32)

  public var description: String {
    switch self {
    case .cannotStart(let program, let errno): "cannot start \(program): \(systemError(errno))"
    case .unsupportedOption(let option): "\(option) takes QEMU out of reach; leave it out"
    case .noGreeting(let program):
      "\(program) does not answer on the control socket; it must be QEMU, or pass its descriptors and arguments on to it"
    case .controlLost(let program): "lost control of \(program): its control socket fell silent or brought no QMP"
    case .refused(let program, let reason): "\(program) does not start: \(reason)"
    case .system(let what, let errno): "\(what) failed: \(systemError(errno))"
    }
  }
}
