/// A page fault that a walk ends in.
public struct PageFault: Hashable, Sendable {
  public enum Cause: Hashable, Sendable {
    /// The entry's P bit is clear.
    case notPresent
    /// The entry has reserved bits set; at least one violation is definite.
    case reservedBits(ReservedBitViolations)
    /// The walk reached a page, which may not be accessed so.
    case protection(ProtectionViolations)
    /// Nothing backs the table the walk came to.
    ///
    /// KVM's walker then delivers a fault as if the entry were not present (`paging_tmpl.h: walk_addr_generic`, 6.19),
    /// and TCG reads zeros, with the same result; a processor without a hypervisor reads whatever its bus answers,
    /// usually all ones.
    case tableUnbacked(UnavailableMemory)
  }

  public var cause: Cause
  /// The structure whose entry failed, could not be read, or, for `protection`, mapped the page.
  public var structure: PagingStructure
  /// The error code, with the undetermined bits clear.
  public var errorCode: PageFaultErrorCode
  /// The bits of the error code that hang on something unknown: F on EFER.NXE, PK on PKRU or IA32_PKRS.
  public var undeterminedBits: PageFaultErrorCode

  public init(
    cause: Cause, structure: PagingStructure, errorCode: PageFaultErrorCode, undeterminedBits: PageFaultErrorCode = []
  ) {
    self.cause = cause
    self.structure = structure
    self.errorCode = errorCode
    self.undeterminedBits = undeterminedBits
  }

  /// Whether an error code that was seen can be this fault's.
  public func agrees(with seen: PageFaultErrorCode) -> Bool {
    errorCode.union(undeterminedBits) == seen.union(undeterminedBits)
  }
}
