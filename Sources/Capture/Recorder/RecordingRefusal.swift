import Glibc
import SystemPackage

/// Why KVM's tracepoints cannot be recorded, and what would let them be.
public enum RecordingRefusal: Error, Hashable, Sendable {
  /// tracefs is at none of its places; with `kernel.perf_event_paranoid` where that is in the way too.
  case tracefsNotMounted(paranoid: Int?)
  /// tracefs is there and its files are not readable; likewise.
  case tracefsUnreadable(paranoid: Int?)
  /// The kernel has none of the tracepoints that are wanted: KVM is not there, or tracing is not configured.
  case noTracepoints
  /// A filter names no field of its event, or is no filter.
  case filterRefused
  /// perf_event_open is refused; with `kernel.perf_event_paranoid`, where it can be read.
  case perfForbidden(paranoid: Int?)
  /// perf_event_open or mmap failed otherwise, with errno.
  case perfFailed(errno: Int32)
  /// No instance of tracefs can be made or set up, with errno.
  case tracefsRefused(errno: Int32)
  /// As a case tells it of another run.
  case told(lack: String, remedy: String?)

  /// What is lacking, in one line.
  public var lack: String {
    switch self {
    case .tracefsNotMounted: "tracefs is not mounted"
    case .tracefsUnreadable:
      geteuid() == 0 ? "this kernel lets not even root read tracefs" : "tracefs may be read by root only"
    case .noTracepoints: "this kernel has none of these tracepoints"
    case .filterRefused: "the kernel refuses a filter, which may only name fields of its own event"
    case .perfForbidden(let level?): "kernel.perf_event_paranoid is \(level), and recording tracepoints takes -1"
    case .perfForbidden(nil):
      "this kernel refuses perf_event_open to this user, whatever perf_event_paranoid is: in a container without CAP_PERFMON, or locked down"
    case .tracefsRefused(let code): "tracefs does not let a buffer be made and used: \(systemError(code))"
    case .told(let lack, _): lack
    case .perfFailed(let code): "perf_event_open failed: \(systemError(code))"
    }
  }

  /// The command that grants it; nil where there is none.
  ///
  /// The kernel's rule (kernel/trace/trace_event_perf.c: perf_trace_event_perm; include/linux/perf_event.h:
  /// perf_allow_tracepoint, 6.1 to 6.18): a sample with raw tracepoint data needs CAP_PERFMON (or CAP_SYS_ADMIN) unless
  /// perf_event_paranoid is -1, also for a process of one's own. The event's id is in tracefs, whose files have no
  /// permission for others since Linux 5.16 (commit 21ccc9cd7211), whatever mode it is mounted with; a group they have
  /// (tried as an ordinary user on 6.18).
  public var remedy: String? {
    let lowering = "sudo sysctl kernel.perf_event_paranoid=-1"
    return switch self {
    case .tracefsNotMounted(let paranoid):
      "sudo mount -t tracefs -o mode=750,gid=$(id -g) nodev /sys/kernel/tracing"
        + (paranoid == nil ? "" : " && " + lowering)
    case .tracefsUnreadable(nil) where geteuid() == 0: nil
    case .tracefsUnreadable(let paranoid):
      "sudo mount -o remount,mode=750,gid=$(id -g) /sys/kernel/tracing" + (paranoid == nil ? "" : " && " + lowering)
    case .perfForbidden(let level): level == nil ? nil : lowering
    case .told(_, let remedy): remedy
    case .tracefsRefused(let code):
      [EACCES, EPERM].contains(code) ? "sudo inquest record …, or --through perf" : "--through perf"
    case .noTracepoints, .filterRefused, .perfFailed: nil
    }
  }
}

extension RecordingRefusal {
  /// `kernel.perf_event_paranoid`; nil where it cannot be read.
  static var paranoidLevel: Int? {
    (try? wholeText("/proc/sys/kernel/perf_event_paranoid")).flatMap { Int($0.prefix { $0 != "\n" }) }
  }

  /// The level where it forbids this process to record; a capability granted by file is not looked for.
  static var hinderingParanoidLevel: Int? {
    guard geteuid() != 0, let level = paranoidLevel, level > -1 else { return nil }
    return level
  }
}
