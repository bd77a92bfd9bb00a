import X86

/// What registers prove that are those of a reset, all of them or only some (SDM vol. 3, table 9-1).
enum ResetObservations {
  /// RIP FFF0H in a code segment at FFFF0000H, paging off.
  static func isReset(_ state: ProcessorState) -> Bool { state.rip == 0xFFF0 && hasResetCodeSegment(state) }

  private static func hasResetCodeSegment(_ state: ProcessorState) -> Bool {
    state.cs.base == 0xFFFF_0000 && state.cs.selector.rawValue == 0xF000
      && state.cr0.isDisjoint(with: [.protectionEnable, .paging])
  }

  /// Whether the segments, tables and control registers are those of a reset, and RIP is where reset code cannot be.
  static func isHalfRestored(_ state: ProcessorState) -> Bool {
    hasResetCodeSegment(state) && state.rip > 0xFFFF && state.gdtr.base.rawValue == 0 && state.gdtr.limit == 0xFFFF
      && state.idtr.base.rawValue == 0 && state.cr3 == 0 && state.efer?.isEmpty != false
  }

  /// The facts of a reset or half-restored state, each a sentence; empty for any other.
  static func facts(of state: ProcessorState) -> [String] {
    if isReset(state) { return reset(state) }
    return isHalfRestored(state) ? halfRestored(state) : []
  }

  private static func reset(_ state: ProcessorState) -> [String] {
    let cr0 = state.cr0.rawValue.hexadecimal
    let start =
      "The registers are those of a reset processor (EIP fff0, CS f000 with base ffff0000, CR0 \(cr0)): it has run nothing since"
    // QEMU halts every processor but the first at its reset (target/i386/cpu.c: x86_cpu_reset, 7.2).
    var facts = [
      state.isHalted == true
        ? "\(start). It is halted: a further processor (AP) that waits for its start (SIPI)"
        : "\(start). KVM on AMD resets a processor at a triple fault (arch/x86/kvm/svm/svm.c: shutdown_interception); after one they say nothing about it"
    ]
    if let left = leftOver(state) { facts.append(left) }
    if let signature = signature(UInt32(truncatingIfNeeded: state.generalPurpose.rdx)) { facts.append(signature) }
    return facts
  }

  /// A reset clears CR4 and EFER.
  private static func leftOver(_ state: ProcessorState) -> String? {
    var parts: [String] = []
    if !state.cr4.isEmpty {
      parts.append("CR4 is \(state.cr4.rawValue.hexadecimal) (\(state.cr4.names.joined(separator: ", ")))")
    }
    if let efer = state.efer, !efer.isEmpty { parts.append("EFER is \(efer.rawValue.hexadecimal)") }
    if state.cr3 != 0 { parts.append("CR3 is \(state.cr3.hexadecimal)") }
    guard !parts.isEmpty else { return nil }
    return
      "\(parts.joined(separator: " and ")), which a reset clears: left over from before, so this state is of two moments, and no guest made it"
  }

  /// EDX after a reset is the signature that CPUID.01H:EAX gives (SDM vol. 3, 9.1.1 and figure 3-6 of vol. 2).
  private static func signature(_ edx: UInt32) -> String? {
    let identity = ProcessorSignature(edx)
    guard edx != 0, edx >> 28 == 0, (5...31).contains(identity.family) else { return nil }
    return "EDX \(edx.hexadecimal), as a reset leaves it, is the processor's signature: \(identity.words)"
  }

  private static func halfRestored(_ state: ProcessorState) -> [String] {
    var facts = [
      "Segments, GDT, IDT, CR0 (\(state.cr0.rawValue.hexadecimal)), CR3, CR4 and EFER are those of a reset, but RIP is \(state.rip.hexadecimal) and RSP "
        + "\(state.generalPurpose.rsp.hexadecimal): half-restored. The general registers were set, the special ones were not: KVM_SET_SREGS failed or "
        + "was never made, as where a migration or a snapshot brings what this host's processor or KVM lacks (a bit of CR4, EFER or XCR0)"
    ]
    if state.rip >> 31 & 1 == 1, state.rip >> 32 == 0 {
      facts.append(
        "QEMU shows 32 bits of RIP, since CS is no 64-bit code segment; the lower half is like that of a kernel in the upper half of the address space"
      )
    }
    if state.rflags.contains(.interruptEnable) {
      facts.append("RFLAGS.IF is set: interrupts are on, with the IDT of a reset")
    }
    return facts
  }
}

/// Family, model and stepping of a processor, from CPUID.01H:EAX (SDM vol. 2, CPUID, figure 3-6; APM vol. 3, E.3.2).
struct ProcessorSignature: Hashable {
  var family: Int
  var model: Int
  var stepping: Int

  init(_ eax: UInt32) {
    let baseFamily = Int(eax >> 8 & 0xF)
    family = baseFamily == 15 ? 15 + Int(eax >> 20 & 0xFF) : baseFamily
    let hasExtendedModel = baseFamily == 6 || baseFamily == 15
    model = Int(eax >> 4 & 0xF) | (hasExtendedModel ? Int(eax >> 16 & 0xF) << 4 : 0)
    stepping = Int(eax & 0xF)
  }

  init(family: Int, model: Int, stepping: Int = 0) {
    (self.family, self.model, self.stepping) = (family, model, stepping)
  }

  var words: String {
    "family \(family), model \(model), stepping \(stepping)" + (intelName.map { " (if Intel's: \($0))" } ?? "")
  }

  /// Intel's names (Linux arch/x86/include/asm/intel-family.h, 6.19).
  var intelName: String? { family == 6 ? Self.names[model] : nil }

  /// Whether an Intel processor can run real mode's code in VMX operation itself: Westmere was the first to have unrestricted guests (SDM
  /// vol. 3, A.3.3; Intel's Westmere announcements of 2010); nil where the model is not known.
  var hasUnrestrictedGuest: Bool? {
    guard family == 6 else { return family < 6 ? false : nil }
    if Self.withoutUnrestrictedGuest.contains(model) { return false }
    return Self.names[model] == nil ? nil : true
  }

  private static let withoutUnrestrictedGuest: Set<Int> = [0x0E, 0x0F, 0x16, 0x17, 0x1D, 0x1A, 0x1E, 0x1F, 0x2E]

  private static let names: [Int: String] = [
    0x0E: "Core Yonah", 0x0F: "Core 2 Merom", 0x16: "Core 2 Merom-L", 0x17: "Core 2 Penryn", 0x1D: "Dunnington",
    0x1A: "Nehalem-EP", 0x1E: "Nehalem (Lynnfield)", 0x1F: "Nehalem-G", 0x2E: "Nehalem-EX", 0x25: "Westmere",
    0x2C: "Westmere-EP", 0x2F: "Westmere-EX", 0x2A: "Sandy Bridge", 0x2D: "Sandy Bridge-X", 0x3A: "Ivy Bridge",
    0x3E: "Ivy Bridge-X", 0x3C: "Haswell", 0x3F: "Haswell-X", 0x45: "Haswell-L", 0x46: "Haswell-G", 0x3D: "Broadwell",
    0x47: "Broadwell-G", 0x4F: "Broadwell-X", 0x56: "Broadwell-D", 0x4E: "Skylake-L", 0x5E: "Skylake",
    0x55: "Skylake-X, Cascade Lake or Cooper Lake", 0x8E: "Kaby Lake-L", 0x9E: "Kaby Lake", 0xA5: "Comet Lake",
    0x6A: "Ice Lake-X", 0x7D: "Ice Lake", 0x7E: "Ice Lake-L", 0x8C: "Tiger Lake-L", 0x8D: "Tiger Lake",
    0x8F: "Sapphire Rapids", 0xCF: "Emerald Rapids", 0xAD: "Granite Rapids", 0x97: "Alder Lake", 0x9A: "Alder Lake-L",
    0xB7: "Raptor Lake",
  ]
}

extension CR4 {
  /// The manuals' names of the bits that are set (SDM vol. 3, 2.5), the highest last.
  var names: [String] {
    let known: [(UInt64, String)] = [
      (0, "VME"), (1, "PVI"), (2, "TSD"), (3, "DE"), (4, "PSE"), (5, "PAE"), (6, "MCE"), (7, "PGE"), (8, "PCE"),
      (9, "OSFXSR"), (10, "OSXMMEXCPT"), (11, "UMIP"), (12, "LA57"), (13, "VMXE"), (14, "SMXE"), (16, "FSGSBASE"),
      (17, "PCIDE"), (18, "OSXSAVE"), (19, "KL"), (20, "SMEP"), (21, "SMAP"), (22, "PKE"), (23, "CET"), (24, "PKS"),
      (25, "UINTR"), (27, "LASS"), (28, "LAM_SUP"), (32, "FRED"),
    ]
    return known.filter { rawValue >> $0.0 & 1 == 1 }.map(\.1)
  }
}
