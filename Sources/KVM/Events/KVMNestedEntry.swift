/// kvm_nested_vmenter, and kvm_nested_vmrun before Linux 6.1: a hypervisor in the guest enters its own guest.
public struct KVMNestedEntry: Hashable, Sendable {
  public var rip: UInt64
  /// Where its guest goes on.
  public var nestedRIP: UInt64
  public var eventInjection: EventInformation
  /// Whether its guest's physical addresses go through nested tables of its own; nil where the trace does not tell.
  public var usesNestedPaging: Bool?
  /// Those tables: nested CR3 or EPTP; without them the guest's CR3. Nil before Linux 6.1.
  public var root: UInt64?
  /// VMX or SVM; nil before Linux 6.1.
  public var vendor: KVMExit.Vendor?

  public init(
    rip: UInt64, nestedRIP: UInt64, eventInjection: EventInformation, usesNestedPaging: Bool? = nil,
    root: UInt64? = nil, vendor: KVMExit.Vendor? = nil
  ) {
    self.rip = rip
    self.nestedRIP = nestedRIP
    self.eventInjection = eventInjection
    self.usesNestedPaging = usesNestedPaging
    self.root = root
    self.vendor = vendor
  }
}
