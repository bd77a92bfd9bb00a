import GuestImage
import X86

/// `segment.null`, `segment.limit`, `segment.type`: an operand outside its segment, or one that the segment does not allow.
struct SegmentAccess: CauseOfDeath {
  /// One page for each kind.
  static let manuals = [
    ManualPage(id: "segment.null", title: "An access through a null segment", text: manual),
    ManualPage(id: "segment.limit", title: "An access beyond the segment's limit", text: manual),
    ManualPage(id: "segment.type", title: "The segment's type does not allow the access", text: manual),
  ]

  private let fault: FirstFault
  private let register: SegmentRegister
  private let violation: SegmentViolation

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .segment(let register, let violation) = fault.exception.reason else { return nil }
    self.fault = fault
    self.register = register
    self.violation = violation
  }

  private var page: ManualPage {
    switch violation {
    case .isNull: Self.manuals[0]
    case .beyondLimit: Self.manuals[1]
    case .isReadOnly, .isExecuteOnly: Self.manuals[2]
    }
  }

  var id: String { page.id }
  var title: String { page.title }

  private var name: String { "\(register)".uppercased() }

  private var selector: String { fault.state.map { $0[register].selector.rawValue.hexadecimal } ?? "" }

  var summary: String {
    let vector = fault.exception.vector.name
    let user = register == .cs && fault.instruction == nil ? "The next instruction" : fault.instructionName
    switch violation {
    case .isNull: return "\(user) goes through \(name), whose selector is null (\(selector)): \(vector)."
    case .isReadOnly:
      return "\(user) writes through \(name) (\(selector)), which is no writable data segment: \(vector)."
    case .isExecuteOnly: return "\(user) reads through \(name) (\(selector)), which may only be executed: \(vector)."
    case .beyondLimit(let offset, let limit):
      return
        "\(user) is at offset \(offset.hexadecimal) of \(name) (\(selector)), beyond its limit, \(limit.hexadecimal): \(vector)."
    }
  }

  var remedies: [Remedy] {
    let change =
      violation == .isNull
      ? "load \(name) with the selector of a data segment after LGDT and after entering protected mode"
      : "make the descriptor of \(name) a flat one: base 0, limit FFFFFH with G set, of the right type; and load \(name) again"
    return [.guest(change, "Outside 64-bit mode each access is held against its segment.")]
  }
}

extension SegmentAccess {
  static let manual = """
    Outside 64-bit mode each access is held against its segment: the selector must not be null, the type must allow it, and the offset must be
    within the limit. Else #GP, or #SS through SS, with error code 0.

    ## Why

    After entering protected mode the data segments still have real mode's, or the loader's, limits and selectors: each must be loaded anew. A
    limit of FFFFH without G ends at 64 KiB. SS with an execute-only or read-only segment cannot be written.

    ## The cure

    Flat descriptors (base 0, limit FFFFFH with G), and MOV to DS, ES, SS, FS and GS after the far jump.

    SDM vol. 3, 5.3 to 5.5.
    """
}
