import GuestImage
import X86

/// `segment.bad-code-selector`: a far jump or call to a selector that is no code segment.
struct BadCodeSelector: CauseOfDeath, SingleCause {
  static let id = "segment.bad-code-selector"
  static let title = "A far transfer to what is no code segment"
  static let refines = [BadSelector.id]

  private let fault: FirstFault
  private let selector: SegmentSelector
  private let violation: SelectorViolation
  private let isReturn: Bool

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .selector(let selector, let violation) = fault.exception.reason, let instruction = fault.instruction,
      instruction.isFarBranch
    else {
      return nil
    }
    // In protected mode what was refused may be a TSS or a gate; a kernel that never loaded TR has no tasks.
    if violation == .refused, let state = fault.state, !state.isLongModeActive, !state.tr.selector.isNull {
      return nil
    }
    isReturn = !["jmp", "call"].contains(instruction.mnemonic)
    // A return may load SS as well. A selector that is loaded for data is no code's.
    if violation == .refused, isReturn {
      guard let state = fault.state, state.isData(selector) else { return nil }
    }
    // SS may be what a return to another level is refused.
    if isReturn, violation != .refused, let instant = fault.instant,
      let code = InstructionChecks(of: instruction, at: instant).returnedCodeSelector, code != selector
    {
      return nil
    }
    self.fault = fault
    self.selector = selector
    self.violation = violation
  }

  /// A return to another level loads SS too, from a frame that nothing here shows.
  var isDecided: Bool {
    if case .operandSizeOfUnseenFrame? = mistake { return false }
    return violation != .refused || !isReturn && fault.state?.isLongModeActive == true
  }

  var summary: String {
    "\(fault.instructionName) goes to the code segment \(selector.rawValue.hexadecimal), \(violation.words(selector, fault.state)): "
      + "\(fault.exception.name).\(longModeMissing)\(mistake?.words ?? "")"
  }

  /// A descriptor of 64-bit code before long mode is active has no meaning of its own (SDM vol. 3, 3.4.5).
  private var longModeMissing: String {
    guard let state = fault.state, !state.isLongModeActive else { return "" }
    let enabled = state.efer?.contains(.longModeEnable) == true && state.cr0.contains(.paging)
    switch violation {
    case .beyondLimit(let descriptor, offset: _) where descriptor.attributes.contains(.long): break
    case .beyondUnseenLimit where enabled: break
    default: return ""
    }
    let descriptor =
      if case .beyondUnseenLimit = violation {
        " A descriptor of 64-bit code often has the limit 0, which counts where long mode is not active, and here it is not"
      } else { " The descriptor is of 64-bit code, and long mode is not active" }
    return descriptor
      + (enabled
        ? ": EFER.LME is set and so is CR0.PG, but \(state.cr4.contains(.physicalAddressExtension) ? "LME has to be set before PG, and CR4.PAE, too" : "CR4.PAE is 0, and has to be set before PG")."
        : ": it needs CR4.PAE, CR3, EFER.LME and then CR0.PG.")
  }

  /// What of long mode is not turned on, in the order in which it has to be.
  private var stepsMissing: String? {
    guard let state = fault.state, !longModeMissing.isEmpty else { return nil }
    let steps = [
      state.cr4.contains(.physicalAddressExtension) ? nil : "set CR4.PAE (bit 5)",
      state.efer?.contains(.longModeEnable) == true ? nil : "set EFER.LME (MSR C0000080H, bit 8)",
      "set CR0.PG (bit 31) with the PML4 table's address in CR3",
    ].compactMap(\.self)
    return steps.joined(separator: ", then ")
      + (state.cr0.contains(.paging) ? ": paging is on already, so clear CR0.PG first" : "")
  }

  private var mistake: MistakenReturn? { MistakenReturn(fault) }

  var remedies: [Remedy] {
    if let mistake { return [mistake.remedy] }
    if case .outsideMemory = violation { return [.tableBase] }
    if let stepsMissing {
      return [
        .guest(
          "\(stepsMissing), and only then make the far jump", "A processor that has not done so knows no 64-bit code.")
      ]
    }
    return [
      .guest(
        "put a code descriptor there: 00AF9B000000FFFFH for 64-bit code (L set, D clear), 00CF9B000000FFFFH for 32-bit code; and check "
          + "LGDT's base and limit",
        "The GDT is at \((fault.state?.gdtr.base.rawValue ?? 0).hexadecimal), its limit \((fault.state?.gdtr.limit ?? 0).hexadecimal)."
      )
    ]
  }
}

extension ProcessorState {
  /// Whether a data segment register holds the selector, whatever its RPL.
  fileprivate func isData(_ selector: SegmentSelector) -> Bool {
    [ss, ds, es].contains { register in
      register.selector.rawValue & ~3 == selector.rawValue & ~3
        && register.attributes.contains([.codeOrData, .present]) && !register.attributes.contains(.code)
    }
  }
}

extension BadCodeSelector {
  static let manual = """
    A far JMP, CALL, RET or IRET goes to a selector that names no code segment fit for it: #GP or #NP, with the selector in the error code.

    ## Why

    - The GDT in force is not the one that was meant: LGDT with a wrong base (linear, not physical; 32 bits of it outside 64-bit mode) or limit.
    - The descriptor's type is data, or its P bit is clear.
    - It is a descriptor of 64-bit code, and long mode is not active: EFER.LME was not set, or only after CR0.PG. Outside long mode its limit
      counts, which is often 0.
    - L and D are both set, which long mode reserves: 64-bit code has L set and D clear, 00AF9B000000FFFFH.
    - The selector's RPL or the descriptor's DPL is not CPL.

    ## The cure

    Look at the GDT as the guest has it; the verdict shows the descriptor.

    SDM vol. 3, 3.4.5, 5.8; TCG 7.2 does not check L and D.
    """
}
