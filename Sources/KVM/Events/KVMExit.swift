/// kvm_exit, whose fields mean different things for each vendor.
public struct KVMExit: Hashable, Sendable {
  /// The instruction set extension that `reason` belongs to; nil where the trace shows only a name.
  public enum Vendor: Hashable, Sendable {
    case vmx
    case svm
    case pvm
  }

  public var vendor: Vendor?
  /// The exit's name as KVM prints it (`EPT_MISCONFIG`, `npf`, `shutdown`), or the number in hexadecimal.
  public var reasonName: String
  /// The number, where the trace has it.
  public var reason: UInt32?
  public var rip: UInt64
  public var vcpu: Int?
  /// Intel's exit qualification, AMD's EXITINFO1.
  public var info1: UInt64?
  /// Intel's IDT-vectoring information, AMD's EXITINFO2.
  public var info2: UInt64?
  /// Intel's VM-exit interruption information, AMD's EXITINTINFO.
  public var interruptionInfo: UInt32?
  public var errorCode: UInt32?

  public init(
    vendor: Vendor?, reasonName: String, reason: UInt32?, rip: UInt64, vcpu: Int? = nil, info1: UInt64? = nil,
    info2: UInt64? = nil, interruptionInfo: UInt32? = nil, errorCode: UInt32? = nil
  ) {
    self.vendor = vendor
    self.reasonName = reasonName
    self.reason = reason
    self.rip = rip
    self.vcpu = vcpu
    self.info1 = info1
    self.info2 = info2
    self.interruptionInfo = interruptionInfo
    self.errorCode = errorCode
  }
}
