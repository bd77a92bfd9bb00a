import GuestImage
import Testing
import X86

@Suite("What an instruction needs")
struct InstructionRequirementsTests {
  private static let avx = "CR0.TS CR4.OSXSAVE XCR0.SSE XCR0.AVX"
  private static let avx512 = avx + " XCR0.opmask XCR0.ZMM_Hi256 XCR0.Hi16_ZMM"
  private static let sse = "CR0.EM CR0.TS CR4.OSFXSR"

  static let instructions: [(String, [UInt8], String, String)] = [
    ("vpxor ymm", [0xC5, 0xF5, 0xEF, 0xC0], "avx avx2", avx), ("vaddps xmm", [0xC5, 0xF0, 0x58, 0xC0], "avx", avx),
    ("vzeroupper", [0xC5, 0xF8, 0x77], "avx", avx), ("andn", [0xC4, 0xE2, 0x70, 0xF2, 0xC0], "bmi1", ""),
    ("vaesenc xmm", [0xC4, 0xE2, 0x71, 0xDC, 0xC0], "aes avx", avx),
    ("vpxord zmm", [0x62, 0xF1, 0x75, 0x48, 0xEF, 0xC0], "avx512f", avx512),
    ("vpxord ymm, EVEX", [0x62, 0xF1, 0x75, 0x28, 0xEF, 0xC0], "avx512f avx512vl", avx512),
    ("kmovw", [0xC5, 0xF8, 0x92, 0xC8], "avx512f", avx512),
    ("addps", [0x0F, 0x58, 0xC0], "sse", sse), ("paddd xmm", [0x66, 0x0F, 0xFE, 0xC0], "sse2", sse),
    ("paddd mm", [0x0F, 0xFE, 0xC0], "mmx", "CR0.EM CR0.TS"),
    ("pshufb mm", [0x0F, 0x38, 0x00, 0xC1], "ssse3", "CR0.EM CR0.TS"),
    ("pavgb mm", [0x0F, 0xE0, 0xC1], "sse|mmxext", "CR0.EM CR0.TS"), ("ldmxcsr", [0x0F, 0xAE, 0x10], "sse", sse),
    ("mfence", [0x0F, 0xAE, 0xF0], "sse2", ""), ("movnti", [0x0F, 0xC3, 0x00], "sse2", ""),
    ("crc32", [0xF2, 0x0F, 0x38, 0xF1, 0xC0], "sse4.2", ""), ("popcnt", [0xF3, 0x0F, 0xB8, 0xC0], "popcnt", ""),
    ("pclmulqdq", [0x66, 0x0F, 0x3A, 0x44, 0xC0, 0x00], "pclmulqdq", sse),
    ("fld1", [0xD9, 0xE8], "fpu", "CR0.EM CR0.TS"),
    ("fcmovb", [0xDA, 0xC0], "fpu cmov", "CR0.EM CR0.TS"), ("fxsave", [0x0F, 0xAE, 0x00], "fxsr", "CR0.EM CR0.TS"),
    ("xsave", [0x0F, 0xAE, 0x20], "xsave", "CR4.OSXSAVE"), ("xgetbv", [0x0F, 0x01, 0xD0], "xsave", "CR4.OSXSAVE"),
    ("syscall", [0x0F, 0x05], "syscall", "EFER.SCE"), ("swapgs", [0x0F, 0x01, 0xF8], "lm", "CR4.PAE EFER.LME"),
    ("rdfsbase", [0xF3, 0x48, 0x0F, 0xAE, 0xC0], "fsgsbase", "CR4.FSGSBASE"), ("rdtsc", [0x0F, 0x31], "tsc", ""),
    ("rdtscp", [0x0F, 0x01, 0xF9], "rdtscp", ""), ("cmpxchg16b", [0x48, 0x0F, 0xC7, 0x08], "cx16", ""),
    ("lahf", [0x9F], "lahf-lm", ""), ("stac", [0x0F, 0x01, 0xCB], "smap", "CR4.SMAP"),
    ("invpcid", [0x66, 0x0F, 0x38, 0x82, 0x00], "invpcid", ""), ("rdpkru", [0x0F, 0x01, 0xEE], "pku", "CR4.PKE"),
    ("vmxon", [0xF3, 0x0F, 0xC7, 0x30], "vmx", "CR4.VMXE IA32_FEATURE_CONTROL.VMX outside SMX"),
    ("vmrun", [0x0F, 0x01, 0xD8], "svm", "EFER.SVME"), ("mov", [0x48, 0x89, 0xC0], "", ""),
    ("endbr64", [0xF3, 0x0F, 0x1E, 0xFA], "", ""),
    ("prefetchw", [0x0F, 0x0D, 0x08], "3dnowprefetch|3dnow|lm", ""), ("lzcnt", [0xF3, 0x0F, 0xBD, 0xC0], "abm", ""),
    ("tzcnt", [0xF3, 0x0F, 0xBC, 0xC0], "bmi1", ""), ("pause", [0xF3, 0x90], "", ""), ("ud2", [0x0F, 0x0B], "", ""),
  ]

  @Test("features and control bits", arguments: instructions)
  func requirements(_ label: String, _ bytes: [UInt8], _ features: String, _ enables: String) throws {
    let instruction = try Instruction.decode(bytes, at: 0, mode: .long64)
    let requirements = try #require(instruction.requirements, "\(instruction.text)")
    let names = requirements.features.map { $0.map(\.name).joined(separator: "|") }
    #expect(names == features.split(separator: " ").map(String.init), "\(instruction.text)")
    #expect(requirements.enables.bits.map(\.name).joined(separator: " ") == enables, "\(instruction.text)")
  }

  @Test("LAHF needs nothing outside 64-bit mode")
  func lahf() throws {
    #expect(try Instruction.decode([0x9F], at: 0, mode: .protected(bits: 32)).requirements?.features == [])
  }

  @Test("of alternatives one is enough")
  func alternatives() throws {
    let requirements = try #require(try Instruction.decode([0x0F, 0xE0, 0xC1], at: 0, mode: .long64).requirements)
    #expect(requirements.areMet { $0.name == "mmxext" } && requirements.areMet { $0.name == "sse" })
    #expect(!requirements.areMet { $0.name == "mmx" })
  }

  /// Every instruction set has its features, or is named as one that no feature announces.
  @Test("no instruction set was forgotten")
  func sets() {
    let withoutFeature: Set<String> = [
      "INVALID", "KNCE", "KNCJKBR", "KNCSTREAM", "KNCV", "KNC_MISC", "KNC_PF_HINT", "TDX", "MOVDIR",
    ]
    let announced = Set(ProcessorFeature.table.flatMap(\.instructionSets))
    let baseline: Set<String> = [
      "I86", "I186", "I286REAL", "I286PROTECTED", "I386", "I486", "I486REAL", "PENTIUMREAL", "PPRO", "FAT_NOP", "PAUSE",
      "LAHF", "RDPMC",
    ]
    let all = Set(Instruction.allInstructionSets)
    #expect(all.subtracting(announced).subtracting(baseline).subtracting(withoutFeature).isEmpty)
    #expect(announced.subtracting(all).isEmpty, "a set that Zydis does not have")
  }
}
