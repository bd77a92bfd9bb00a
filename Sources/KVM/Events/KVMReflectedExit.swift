/// kvm_nested_vmexit_inject: an exit of the guest's guest that KVM hands to the hypervisor in the guest. The fields are
/// those of `KVMExit`.
public struct KVMReflectedExit: Hashable, Sendable {
  public var vendor: KVMExit.Vendor?
  public var reasonName: String
  public var reason: UInt32?
  public var info1: UInt64
  public var info2: UInt64
  public var interruptionInfo: UInt32
  public var errorCode: UInt32

  public init(
    vendor: KVMExit.Vendor?, reasonName: String, reason: UInt32?, info1: UInt64, info2: UInt64,
    interruptionInfo: UInt32, errorCode: UInt32
  ) {
    self.vendor = vendor
    self.reasonName = reasonName
    self.reason = reason
    self.info1 = info1
    self.info2 = info2
    self.interruptionInfo = interruptionInfo
    self.errorCode = errorCode
  }
}
