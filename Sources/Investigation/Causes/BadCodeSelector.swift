import GuestImage
import X86

/// `segment.bad-code-selector`: a far jump or call to a selector that is no code segment.
struct BadCodeSelector: CauseOfDeath {
  static let id = "segment.bad-code-selector"
  static let title = "A far transfer to what is no code segment"

  private let fault: FirstFault
  private let selector: SegmentSelector
  private let violation: SelectorViolation

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .selector(let selector, let violation) = fault.exception.reason, fault.instruction?.isFarBranch == true
    else {
      return nil
    }
    self.fault = fault
    self.selector = selector
    self.violation = violation
  }

  var summary: String {
    "\(fault.instructionName) goes to the code segment \(selector.rawValue.hexadecimal), \(violation.words(selector, fault.state)): "
      + "\(fault.exception.name)."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "put a code descriptor there: 00AF9B000000FFFFH for 64-bit code (L set, D clear), 00CF9B000000FFFFH for 32-bit code; and check "
          + "LGDT's base and limit",
        "The GDT is at \((fault.state?.gdtr.base.rawValue ?? 0).hexadecimal), its limit \((fault.state?.gdtr.limit ?? 0).hexadecimal)."
      )
    ]
  }
}
