import X86

/// `paging.reserved-bit` where the error code alone tells: the page tables are not at hand.
struct UnseenReservedBit: CauseOfDeath {
  static let manuals: [ManualPage] = []

  private let fault: FirstFault
  private let access: FailedAccess

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.errorCode.contains(.reserved), access.steps.isEmpty else {
      return nil
    }
    (self.fault, self.access) = (fault, access)
  }

  var id: String { ReservedBit.id }
  var title: String { ReservedBit.title }

  var summary: String {
    let hint =
      fault.state?.efer.map { $0.contains(.executeDisableEnable) } == false
      ? " EFER.NXE is clear, so that bit 63 (XD) is one of those that must be." : ""
    return
      "The walk of \(access.address.rawValue.hexadecimal) met an entry with a bit set that must be zero: RSVD in the error code "
      + "\(access.errorCode.words). Which bit, only the page tables tell.\(hint)"
  }

  var isDecided: Bool { false }

  var remedies: [Remedy] {
    [
      .guest(
        "look at the entries of the walk: inquest walk \(access.address.rawValue.hexadecimal) on a dump of the memory",
        "Mostly it is XD without EFER.NXE, a 1 GiB page without pdpe1gb, or an address above MAXPHYADDR.")
    ]
  }
}
