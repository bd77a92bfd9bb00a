import GuestImage
import X86

/// `segment.bad-selector`: a selector that cannot be loaded.
struct BadSelector: CauseOfDeath, SingleCause {
  static let id = "segment.bad-selector"
  static let title = "A selector that cannot be loaded"

  private let fault: FirstFault
  private let selector: SegmentSelector
  private let violation: SelectorViolation
  /// Why the TSS that is refused is busy: a sentence. Nil where it is no such.
  private let holder: String?

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .selector(let selector, let violation) = fault.exception.reason else { return nil }
    holder = Self.holder(of: violation, fault, scene)
    self.fault = fault
    self.selector = selector
    self.violation = violation
  }

  var summary: String {
    "\(fault.instructionName) \(deed) the selector \(selector.rawValue.hexadecimal), \(violation.words(selector, fault.state)): "
      + "\(fault.exception.name).\(holder.map { " \($0)." } ?? "")\(mistake?.words ?? "")"
  }

  /// LTR marks a descriptor as busy, and refuses one that is (SDM vol. 2, LTR).
  private static func holder(of violation: SelectorViolation, _ fault: FirstFault, _ scene: Scene) -> String? {
    guard fault.instruction?.mnemonic == "ltr", case .wrongType(let descriptor) = violation,
      !descriptor.attributes.contains(.codeOrData), [3, 11].contains(descriptor.attributes.type),
      let state = fault.state
    else { return nil }
    func has(_ other: ProcessorState) -> Bool {
      other.tr.base & 0xFFFF_FFFF == descriptor.base & 0xFFFF_FFFF && !other.tr.selector.isNull
    }
    let before = "A TSS that is busy was loaded before"
    if has(state) { return "\(before): this processor's TR has it already" }
    let other = scene.processors.first { $0.state != state && has($0.state) }
    return other.map { "\(before): TR of processor \($0.index) has it" }
      ?? "The TSS is busy: LTR was executed with it before, or the descriptor was written so (8BH)"
  }

  private var deed: String {
    guard let instruction = fault.instruction, instruction.isFarBranch else { return "loads" }
    return ["jmp", "call"].contains(instruction.mnemonic)
      ? "goes, for code, a gate or a task, to" : "loads, into CS or SS,"
  }

  /// Without the instruction, what loads it is not known, nor into which register.
  var isDecided: Bool { fault.instruction != nil }

  private var mistake: MistakenReturn? { MistakenReturn(fault) }

  var remedies: [Remedy] {
    if let mistake { return [mistake.remedy] }
    if case .outsideMemory = violation { return [.tableBase] }
    if holder != nil {
      return [
        .guest(
          "write type 9 (89H) into the descriptor, not 11 (8BH); give each processor a TSS and a descriptor of its own, and load it once, or write 89H again first",
          "LTR marks the descriptor as busy.")
      ]
    }
    return [
      .guest(
        "use the selector of a fitting descriptor: its number times 8, in the GDT that is in force; check LGDT's base and limit",
        "The GDT is at \((fault.state?.gdtr.base.rawValue ?? 0).hexadecimal), its limit \((fault.state?.gdtr.limit ?? 0).hexadecimal)."
      )
    ]
  }
}

extension Remedy {
  /// Where the GDT in force lies outside the memory.
  static let tableBase = Remedy.guest(
    "check from where LGDT takes its operand (DS, and the address as the code runs, not as it was linked), and the base in it: 16 bits of limit, then the table's linear address",
    "What is there now was read as limit and base.")
}

extension SelectorViolation {
  /// What is wrong, as a clause behind the selector.
  func words(_ selector: SegmentSelector, _ state: ProcessorState?) -> String {
    let table = selector.isLocal ? "LDT" : "GDT"
    switch self {
    case .isNull: return "which is null"
    case .refused:
      return
        "which lies within the limit of the \(table): its descriptor, which nothing here shows, is not what is needed"
    case .beyondUnseenLimit(let offset):
      return
        "which the \(table) has, and the offset \(offset.hexadecimal) lies beyond the limit of its descriptor (or of that which a gate there leads to), which nothing here shows"
    case .isCurrentTask: return "which TR holds: it is the task that runs, and its TSS is busy"
    case .beyondTable(let limit): return "which lies beyond the limit of the \(table), \(limit.hexadecimal)"
    case .notMapped: return "whose descriptor in the \(table) is not mapped"
    case .outsideMemory(let address):
      return
        "whose descriptor would lie at \(address.rawValue.hexadecimal), where the machine has no memory: the \(table) is not where it was meant to be"
    case .wrongType(let descriptor):
      return
        "whose descriptor, \(descriptor.low.hexadecimal), is \(descriptor.kindWords), which is not what is needed here"
    case .notPresent(let descriptor):
      return "whose descriptor, \(descriptor.low.hexadecimal), is not present (P, bit 47, is clear)"
    case .privilege(let descriptor, let level):
      let whose = state?.currentPrivilegeLevel.map { $0 == level ? "" : ", to which it returns" } ?? ""
      return
        "whose descriptor, \(descriptor.low.hexadecimal), has DPL \(descriptor.attributes.descriptorPrivilegeLevel), against the rules of "
        + "privilege for RPL \(selector.requestedPrivilegeLevel) and CPL \(level)\(whose)"
    case .beyondLimit(let descriptor, let offset):
      return
        "whose descriptor, \(descriptor.low.hexadecimal), has the limit \(descriptor.limit.hexadecimal), and the offset \(offset.hexadecimal) lies beyond it"
    case .bothLongAndBig(let descriptor):
      return "whose descriptor, \(descriptor.low.hexadecimal), has both L and D set, which is reserved in long mode"
    }
  }
}

extension SegmentDescriptor {
  /// `64-bit code`, `data`, `a TSS`.
  var kindWords: String {
    guard attributes.contains(.codeOrData) else {
      switch attributes.type {
      case 0: return low == 0 ? "empty" : "of no type"
      case 1: return "a TSS of 16 bits"
      case 2: return "an LDT"
      case 3: return "a TSS of 16 bits that is busy"
      case 4: return "a call gate of 16 bits"
      case 5: return "a task gate"
      case 9: return "a TSS"
      case 11: return "a TSS that is busy"
      case 12: return "a call gate"
      case 14, 15: return "an interrupt gate"
      default: return "a system descriptor of type \(attributes.type.hexadecimal)"
      }
    }
    guard attributes.contains(.code) else {
      return attributes.contains(.writableOrReadable) ? "data" : "read-only data"
    }
    return attributes.contains(.long) ? "64-bit code" : attributes.contains(.big) ? "32-bit code" : "16-bit code"
  }
}

extension BadSelector {
  static let manual = """
    MOV or POP to a segment register, LLDT or LTR with a selector that cannot be loaded: #GP, #NP or #SS, with the selector in the error code.

    ## Why

    - It lies beyond the limit of the GDT, which counts the last byte: 8 times the number of entries, less 1.
    - The descriptor is of another type: SS needs writable data, LTR an available TSS (type 9). A TSS is busy (type BH) once it was loaded, and
      cannot be loaded again.
    - In long mode TSS and LDT descriptors take two entries.
    - DPL, RPL and CPL do not fit.

    ## The cure

    The selector is the entry's number times 8, plus RPL; check what LGDT loaded.

    SDM vol. 2, MOV, LTR; vol. 3, 3.5.1, 8.2.3.
    """
}
