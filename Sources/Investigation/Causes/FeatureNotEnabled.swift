import X86

/// `cpu.feature-not-enabled`: an instruction that the processor has and that nobody turned on.
struct FeatureNotEnabled: CauseOfDeath, SingleCause {
  static let id = "cpu.feature-not-enabled"
  static let title = "The instruction is not enabled"
  static let refines = [UndefinedInstruction.id]

  private let fault: FirstFault
  private let bit: EnableBit

  init?(_ fault: FirstFault, in scene: Scene) {
    guard case .notEnabled(let bit) = fault.exception.reason else { return nil }
    self.fault = fault
    self.bit = bit
  }

  private var value: String {
    guard let state = fault.state else { return "" }
    switch bit.register {
    case .cr0: return " (CR0 is \(state.cr0.rawValue.hexadecimal))"
    case .cr4: return " (CR4 is \(state.cr4.rawValue.hexadecimal))"
    case .efer: return state.efer.map { " (EFER is \($0.rawValue.hexadecimal))" } ?? ""
    case .xcr0, .msr: return ""
    }
  }

  var summary: String {
    "\(fault.instructionName) needs \(bit.name), bit \(bit.bit), to be \(bit.isSet ? 1 : 0), and it is \(bit.isSet ? 0 : 1)\(value): "
      + "\(fault.exception.vector.name), whatever CPUID says."
  }

  var remedies: [Remedy] {
    if fault.isHypercall { return fault.hypercallRemedies }
    let change: String
    switch bit.name {
    case "CR4.OSFXSR":
      change =
        "set CR4.OSFXSR and CR4.OSXMMEXCPT (bits 9 and 10) before the first SSE instruction, or build the guest without "
        + "SSE (-mno-sse, a soft-float target)"
    case "CR4.OSXSAVE", "XCR0.AVX", "XCR0.SSE":
      change = "set CR4.OSXSAVE (bit 18), then XCR0 bits 0 to 2 with XSETBV, before the first AVX instruction"
    case "CR0.EM": change = "clear CR0.EM (bit 2) and set CR0.MP (bit 1) before the first x87, MMX or SSE instruction"
    case "CR0.TS": change = "execute CLTS before the first x87 or SSE instruction, or have a handler of #NM do so"
    default: change = "\(bit.isSet ? "set" : "clear") \(bit.name), bit \(bit.bit), before the instruction"
    }
    return [.guest(change, "A processor comes up with it \(bit.isSet ? "clear" : "set"), or the guest made it so.")]
  }
}

extension FeatureNotEnabled {
  static let manual = """
    The processor has the instruction, and nobody turned it on: a bit of a control register is not as the instruction needs it.
    It raises #UD, or #NM for CR0.TS and for x87 with CR0.EM.

    ## Which bits

    | instructions | need | else |
    |---|---|---|
    | SSE to SSE4 | CR4.OSFXSR = 1, CR0.EM = 0 | #UD |
    | x87 | CR0.EM = 0 | #NM |
    | x87, MMX, SSE, AVX | CR0.TS = 0 | #NM |
    | XSAVE, XSETBV, XGETBV | CR4.OSXSAVE = 1 | #UD |
    | AVX | CR4.OSXSAVE = 1, XCR0 bits 1 and 2 | #UD |
    | AVX-512 | and XCR0 bits 5 to 7 | #UD |
    | SYSCALL, SYSRET | EFER.SCE = 1 | #UD |
    | RDFSBASE and its kin | CR4.FSGSBASE = 1 | #UD |

    SDM vol. 3, 2.5 and 13.5; vol. 1, 13.2; APM vol. 2, 3.1.7.

    XCR0 is in no register dump. Where CR4.OSXSAVE is set and an AVX instruction raised #UD although CPUID has AVX, it is what
    remains.

    ## The cure

    Set the bit before the first such instruction, also on each further processor. A kernel that does not mean to use SSE is built
    without it (`-mno-sse`, a soft-float target): compilers use it for copies of structures.

    ## Try it

    The guest `sse-not-enabled` in `Guests/`.
    """
}
