import Glibc
import SystemPackage

/// Why KVM's functions cannot be probed, and what would let them be.
public enum ProbeRefusal: Error, Hashable, Sendable, CustomStringConvertible {
  /// tracefs is at none of its places.
  case tracefsNotMounted
  /// tracefs is there and this user may not write to it.
  case forbidden
  /// tracefs is there and has no file to define probes in: CONFIG_KPROBE_EVENTS is off, or the kernel is locked down.
  case noProbes
  /// There is no /sys/kernel/btf/vmlinux: CONFIG_DEBUG_INFO_BTF is off, or the kernel is older than 5.4.
  case noTypeInformation
  /// The kernel refused a probe, with what its error_log said.
  case refused(function: String, reason: String)
  /// A step failed otherwise.
  case system(doing: String, errno: Int32)
  /// As a case tells it of another run.
  case told(lack: String, remedy: String?)

  public var description: String { [lack, remedy].compactMap(\.self).joined(separator: "; ") }

  /// The command that grants it; nil where there is none.
  public var remedy: String? {
    switch self {
    case .tracefsNotMounted: "sudo mount -t tracefs nodev /sys/kernel/tracing"
    case .forbidden: geteuid() == 0 ? nil : "run this as root"
    case .told(_, let remedy): remedy
    case .noProbes, .noTypeInformation, .refused, .system: nil
    }
  }

  /// What is lacking, in one line.
  public var lack: String {
    switch self {
    case .tracefsNotMounted: "functions cannot be probed: tracefs is not mounted"
    case .forbidden where geteuid() == 0: "functions cannot be probed: this kernel lets not even root write to tracefs"
    case .forbidden: "functions cannot be probed: only root may write to tracefs"
    case .told(let lack, _): lack
    case .noProbes:
      "functions cannot be probed: this kernel offers no function probes (tracefs has no kprobe_events); "
        + "they take CONFIG_KPROBE_EVENTS, and a kernel that is not locked down"
    case .noTypeInformation:
      "functions cannot be probed by their arguments' names: this kernel has no type information "
        + "(/sys/kernel/btf/vmlinux); it takes CONFIG_DEBUG_INFO_BTF"
    case .refused(let function, let reason): "the kernel refuses a probe on \(function): \(reason)"
    case .system(let doing, let code): "\(doing) failed: \(systemError(code))"
    }
  }
}
