public import X86

/// What a processor must have, and software must have enabled, for an instruction not to raise #UD or #NM.
public struct InstructionRequirements: Hashable, Sendable {
  /// The features it needs: one of each group. Empty for what every processor has that runs KVM's guests.
  public var features: [[ProcessorFeature]]
  public var enables: EnableBits

  /// Whether a processor with these features has the instruction.
  public func areMet(by has: (ProcessorFeature) -> Bool) -> Bool { features.allSatisfy { $0.contains(where: has) } }
}

extension Instruction {
  /// What the instruction needs, by its instruction set and encoding; nil for one that no feature of the table announces
  /// (Knights Corner's and TDX').
  ///
  /// SDM vol. 2, the CPUID column of each instruction and 2.4 to 2.10 for the control bits; APM vol. 3, appendix D.
  public var requirements: InstructionRequirements? {
    guard let features = requiredFeatures else { return nil }
    var enables = features.compactMap(\.first).reduce(into: EnableBits()) { $0.formUnion($1.enables) }
    switch encoding {
    case .vex, .evex, .xop, .mvex: enables.subtract([.emulationOff, .osfxsr])
    case .legacy, .threeDNow: if !usesVectorState { enables.subtract(integerOnlyExemption) }
    }
    return InstructionRequirements(features: features, enables: enables)
  }

  private var requiredFeatures: [[ProcessorFeature]]? {
    if let names = InstructionSets.features(of: self) { return names.map(Self.features) }
    let features = InstructionSets.features[isaSet] ?? []
    return features.isEmpty && !InstructionSets.baseline.contains(isaSet) ? nil : features.map { [$0] }
  }

  private static func features(_ names: String) -> [ProcessorFeature] {
    names.split(separator: "|").flatMap { ProcessorFeature.named(inQEMU: String($0)) }
  }

  private var usesVectorState: Bool {
    mnemonic.hasSuffix("mxcsr")
      || operands.contains { operand in
        guard case .register(.other(let name)) = operand.value else { return false }
        return name.hasPrefix("xmm")
      }
  }

  /// What those instructions of an SSE feature go without that touch no XMM register: CR4.OSFXSR, and but for those on MMX
  /// registers CR0.EM and CR0.TS (SDM vol. 3, 23.25.3; LFENCE, MOVNTI, CRC32 and prefetches).
  private var integerOnlyExemption: EnableBits {
    usesX87State ? .osfxsr : .sse
  }

  private var usesX87State: Bool {
    if ["X87", "SSE3X87", "FCMOV", "FXSAVE", "FXSAVE64", "AMD3DNOW"].contains(isaSet) { return true }
    return ["emms", "fcomi", "fcomip", "fucomi", "fucomip"].contains(mnemonic)
      || operands.contains { operand in
        guard case .register(.other(let name)) = operand.value else { return false }
        return name.hasPrefix("mm")
      }
  }
}

/// Which features an instruction set stands for, where it stands for some.
enum InstructionSets {
  /// By the name of the instruction set, from the rows of the feature table.
  static let features: [String: [ProcessorFeature]] = {
    var features: [String: [ProcessorFeature]] = [:]
    for feature in ProcessorFeature.table {
      for name in feature.instructionSets { features[name, default: []].append(feature) }
    }
    return features
  }()

  /// Those that need no feature beyond what `features(ofMnemonic:mode:)` says, nor any announcement.
  static let baseline: Set<String> = [
    "I86", "I186", "I286REAL", "I286PROTECTED", "I386", "I486", "I486REAL", "PENTIUMREAL", "PPRO", "FAT_NOP", "PAUSE",
    "LAHF", "RDPMC",
  ]

  /// The features of an instruction whose set holds several kinds; `|` stands between alternatives. Nil where the set
  /// decides.
  static func features(of instruction: Instruction) -> [String]? {
    switch (instruction.isaSet, instruction.mnemonic) {
    case ("LAHF", _): instruction.mode == .long64 ? ["lahf-lm"] : []
    case ("PENTIUMMMX", let mnemonic) where ofSSEOnMMX.contains(mnemonic): ["sse|mmxext"]
    case (_, let mnemonic): byMnemonic[mnemonic]
    }
  }

  /// Instructions on MMX registers that came with SSE; AMD's extensions of MMX have them too (APM vol. 3, appendix D).
  private static let ofSSEOnMMX: Set<String> = [
    "maskmovq", "movntq", "pavgb", "pavgw", "pextrw", "pinsrw", "pmaxsw", "pmaxub", "pminsw", "pminub", "pmovmskb",
    "pmulhuw", "psadbw", "pshufw",
  ]

  private static let byMnemonic: [String: [String]] = [
    "rdtsc": ["tsc"], "rdmsr": ["msr"], "wrmsr": ["msr"], "cmpxchg8b": ["cx8"],
    "sysenter": ["sep"], "sysexit": ["sep"], "syscall": ["syscall"], "sysret": ["syscall"],
    "fcomi": ["fpu", "cmov"], "fcomip": ["fpu", "cmov"], "fucomi": ["fpu", "cmov"], "fucomip": ["fpu", "cmov"],
    "movdiri": ["movdiri"], "movdir64b": ["movdir64b"],
    "prefetch": ["3dnowprefetch|3dnow|lm"], "prefetchw": ["3dnowprefetch|3dnow|lm"],
    "stgi": ["svm|skinit"], "skinit": ["svm|skinit"],
    "pfnacc": ["3dnowext"], "pfpnacc": ["3dnowext"], "pf2iw": ["3dnowext"], "pi2fw": ["3dnowext"],
    "pswapd": ["3dnowext"],
    "xtest": ["rtm|hle"],
    // Hints: where there is no CET they are NOPs.
    "endbr32": [], "endbr64": [], "rdsspd": [], "rdsspq": [],
  ]
}
