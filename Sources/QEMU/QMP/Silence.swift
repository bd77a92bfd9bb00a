/// What the main thread of a QEMU that does not answer was found to do. It serves the control sockets, the timers and most devices.
public enum Silence: String, Hashable, Sendable, CaseIterable {
  /// It runs: something keeps it from its sockets. A guest's timer of which QEMU serves one expiry no faster than the next is due is enough
  /// (util/qemu-timer.c: timerlist_run_timers, 7.2, goes on until none is due; seen of a local APIC's timer of 100 ns under TCG).
  case busy
  /// It sleeps, for a lock, a disk or a signal's end.
  case waiting
  /// A signal or a debugger stopped it.
  case stopped

  /// From the letter for a task's state in /proc/PID/stat (proc(5)); nil for a task that is no more.
  public init?(taskState letter: Character) {
    switch letter {
    case "R": self = .busy
    case "S", "D", "I": self = .waiting
    case "T", "t": self = .stopped
    default: return nil
    }
  }
}
