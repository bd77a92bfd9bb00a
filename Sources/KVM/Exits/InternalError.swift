/// What KVM_EXIT_INTERNAL_ERROR reports. Tracepoints do not show it; QEMU prints it.
public struct InternalError: Hashable, Sendable {
  /// KVM_INTERNAL_ERROR_* of include/uapi/linux/kvm.h, Linux 6.19.
  public enum Suberror: UInt32, Sendable {
    case emulation = 1
    case simultaneousExceptions = 2
    case deliveryEvent = 3
    case unexpectedExitReason = 4

    /// `KVM_INTERNAL_ERROR_EMULATION`.
    public var name: String {
      switch self {
      case .emulation: "KVM_INTERNAL_ERROR_EMULATION"
      case .simultaneousExceptions: "KVM_INTERNAL_ERROR_SIMUL_EX"
      case .deliveryEvent: "KVM_INTERNAL_ERROR_DELIVERY_EV"
      case .unexpectedExitReason: "KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON"
      }
    }

    /// What it means, as part of a sentence.
    public var meaning: String {
      switch self {
      case .emulation: "KVM's emulator could not execute an instruction"
      case .simultaneousExceptions: "an exception came while another was being handled, and KVM could not merge them"
      case .deliveryEvent:
        "the guest was left, while an event was being delivered to it, for a reason KVM cannot resolve"
      case .unexpectedExitReason: "the processor left the guest for a reason this KVM does not know"
      }
    }
  }

  public var rawSuberror: UInt32
  /// kvm_run.internal.data, of which KVM filled the first `ndata` words.
  public var data: [UInt64]

  public init(rawSuberror: UInt32, data: [UInt64]) {
    self.rawSuberror = rawSuberror
    self.data = data
  }

  /// Nil for a number that Linux 6.19 does not define.
  public var suberror: Suberror? { Suberror(rawValue: rawSuberror) }

  /// The instruction bytes of an emulation failure, from where the emulator's fetch began; nil where KVM reports none.
  ///
  /// Since kernel commit e615e355894e (in 5.16), data[0] holds
  /// flags of which bit 0 says that data[1] and data[2] hold the number of bytes and the bytes, padded with 0x90
  /// (x86.c: prepare_emulation_failure_exit, 6.19).
  public var instructionBytes: [UInt8]? {
    guard suberror == .emulation, data.count >= 3, data[0] & 1 == 1 else { return nil }
    let bytes = (data[1...2]).flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
    return Array(bytes[1...].prefix(Int(bytes[0])))
  }

  /// The exit that led to an emulation failure; nil where KVM does not report it, as before 5.16.
  public var exit: (reason: UInt32, info1: UInt64, info2: UInt64, eventInformation: UInt32, errorCode: UInt32)? {
    guard suberror == .emulation, data.count >= 6 else { return nil }
    let start = data[0] & 1 == 1 ? 3 : 1
    guard data.count >= start + 5 else { return nil }
    return (
      UInt32(truncatingIfNeeded: data[start]), data[start + 1], data[start + 2],
      UInt32(truncatingIfNeeded: data[start + 3]), UInt32(truncatingIfNeeded: data[start + 4])
    )
  }
}
