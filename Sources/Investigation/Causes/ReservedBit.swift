import QEMU
import X86

/// `paging.reserved-bit`: a walk met an entry in which a bit is set that must be zero.
///
/// The walker says only that *some* bit is reserved (SDM vol. 3, 4.7: RSVD). Which rule it went by is worked out here:
/// from the entry, which leaves few rules that can be the reason, and from what is known of the processor.
struct ReservedBit: CauseOfDeath, SingleCause {
  static let id = "paging.reserved-bit"
  static let title = "A page-table entry has a reserved bit set"

  /// The access that failed.
  let access: FailedAccess
  /// The entry at which it failed.
  let step: FailedAccess.Step
  /// The rules that can be the reason.
  let explanation: ReservedBitExplanation
  /// What is known of the processor excludes every rule that can be the reason.
  let contradictsRules: Bool
  /// Who decided that the guest's processor has 1 GiB pages or has not, where it hangs on that.
  private(set) var decision: FeatureAccount?
  private(set) var evidence: [Evidence] = []
  private(set) var circumstances: [Evidence] = []
  private(set) var remedies: [Remedy] = []

  /// - Parameters:
  ///   - access: An access that failed; nil is returned unless it failed for a reserved bit.
  ///   - rules: What is known of the walker that refused it.
  ///   - death: The death in the trace.
  init?(_ access: FailedAccess, rules: PagingRules, in scene: Scene, _ death: RecordedDeath? = nil) {
    guard access.errorCode.contains(.reserved), let step = access.steps.last else { return nil }
    let known = rules.violations(of: step.entry, at: step.structure, in: access.format).explanation
    self.access = access
    self.step = step
    contradictsRules = known == .none
    explanation =
      known == .none
      ? PagingRules().violations(of: step.entry, at: step.structure, in: access.format).explanation : known
    if violations.contains(where: { $0.rule == .pageSizeWithoutGiBPages }) { decision = scene.decision(on: .pdpe1gb) }
    evidence = decisiveFacts(decision, scene)
    circumstances = circumstances(scene, death)
    remedies = remedies(for: scene, death)
  }

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access else { return nil }
    self.init(access, rules: fault.rules, in: scene, fault.death)
  }

  /// Whether any rule known here can be the reason.
  var isExplained: Bool { !violations.isEmpty }

  /// The violations that can be the reason, the certain ones alone where there are any.
  var violations: [ReservedBitViolation] {
    switch explanation {
    case .known(let violations): violations.filter(\.isDefinite)
    case .inferred(let violation, _): [violation]
    case .ambiguous(let violations): Array(violations)
    case .none: []
    }
  }

  /// Whether one rule is the reason, as far as the walker's word goes.
  var isDecided: Bool {
    switch explanation {
    case .known, .inferred: !contradictsRules
    case .ambiguous, .none: false
    }
  }

  /// How many bytes the entry governs: if it is a leaf, the size of its page.
  var pageSize: UInt64 { access.format.span(of: step.structure) }

  /// The bits to mark.
  var offendingBits: UInt64 { violations.reduce(0) { $0 | $1.bits } }
}

extension ReservedBit {
  /// What is wrong, where, and by which rule.
  var summary: String {
    let place = step.entryAddress.map { " at physical \($0.rawValue.hexadecimal)" } ?? ""
    let entry = "The \(step.structure.entryName) \(step.entry.rawValue.hexadecimal)\(place)"
    guard let first = violations.first else {
      return "\(entry) was refused for a reserved bit, but no rule known here reserves a bit that is set in it."
    }
    let reasons = violations.map { reason($0, decision) }
    if violations.count == 1 || isDecided {
      return "\(entry) \(reasons.joined(separator: ", and it ")). \(rule(first, decision))"
    }
    return "\(entry) has a reserved bit set, for one of these reasons: it \(reasons.joined(separator: "; or it "))."
  }

  private func reason(_ violation: ReservedBitViolation, _ decision: FeatureAccount?) -> String {
    let bits = bitNames(violation.bits)
    return switch violation.rule {
    case .pageSizeWithoutGiBPages: "maps a 1 GiB page (\(bits), PS)"
    case .pageSizeInPML4EOrPML5E: "has \(bits) (PS) set, which must be zero: it can lead to a table only"
    case .addressAboveMAXPHYADDR: "has \(bits) set, above the width of a physical address"
    case .executeDisableWithoutNXE: "has \(bits) (XD, no-execute) set while EFER.NXE is clear"
    case .largePageAddress: "maps a \(sizeName(pageSize)) page whose address has \(bits) set, below its size"
    case .amdBit8: "has \(bits) set, which must be zero on AMD processors"
    case .highBitsInPAE, .pdpteBitsInPAE: "has \(bits) set, which must be zero with PAE paging"
    case .fourMiBPageAddress: "maps a 4 MiB page and has \(bits) set, above the width of its physical address"
    }
  }

  private func rule(_ violation: ReservedBitViolation, _ decision: FeatureAccount?) -> String {
    switch violation.rule {
    case .pageSizeWithoutGiBPages:
      let bit = "CPUID 80000001H:EDX[26] (pdpe1gb)"
      guard let decision, decision.isOn == false else {
        return "It is reserved on a processor without 1 GiB pages, \(bit)."
      }
      return "This guest's processor has no 1 GiB pages: \(bit) is 0, \(decision.words)."
    case .executeDisableWithoutNXE: return "Without EFER.NXE (MSR C0000080H, bit 11) that bit is reserved."
    case .addressAboveMAXPHYADDR: return "Physical addresses are as wide as CPUID 80000008H:EAX[7:0] says."
    case .largePageAddress: return "A large page begins at a multiple of its size."
    case .pageSizeInPML4EOrPML5E: return "No processor maps a page with it."
    case .amdBit8: return "Intel processors ignore it."
    case .highBitsInPAE: return "4-level paging ignores most of these bits; PAE paging does not."
    case .pdpteBitsInPAE: return "The page-directory-pointer table of PAE paging grants no rights and maps no pages."
    case .fourMiBPageAddress: return "Bits 13 to 20 are address bits as far as the walker knows PSE-36; bit 21 is none."
    }
  }

  /// The walk with the failing entry marked.
  var walk: WalkAccount? { access.account(marking: offendingBits, mark) }

  private var mark: String {
    guard !violations.isEmpty else { return "refused for a reserved bit; none is known to be" }
    let words = isDecided ? "reserved here" : "reserved here, one or all"
    return "\(bitNames(offendingBits)) \(words): \(violations.map(\.rule.words).joined(separator: "; or "))"
  }
}

extension ReservedBitRule {
  /// The rule in a few words.
  var words: String {
    switch self {
    case .pageSizeWithoutGiBPages: "a 1 GiB page (PS) needs pdpe1gb"
    case .pageSizeInPML4EOrPML5E: "PS must be zero in a PML4E"
    case .addressAboveMAXPHYADDR: "an address bit at or above MAXPHYADDR"
    case .executeDisableWithoutNXE: "XD needs EFER.NXE"
    case .largePageAddress: "a large page must be aligned to its size"
    case .amdBit8: "must be zero on AMD"
    case .highBitsInPAE, .pdpteBitsInPAE: "must be zero with PAE paging"
    case .fourMiBPageAddress: "above the address of a 4 MiB page"
    }
  }
}

extension FailedAccess {
  /// The walk with bits of the last entry marked, and what is wrong with it.
  func account(marking bits: UInt64, _ verdict: String) -> WalkAccount {
    WalkAccount(
      address: address, root: root,
      levels: steps.enumerated().map { index, step in
        let isLast = index == steps.count - 1
        return WalkAccount.Level(
          table: step.structure.entryName, index: format.index(of: address, at: step.structure),
          entryAddress: step.entryAddress, value: step.entry.rawValue,
          flags: step.entry.flagNames(at: step.structure, in: format), offendingBits: isLast ? bits : 0,
          verdict: isLast ? verdict : "ok")
      })
  }
}

/// `bit 7`, `bits 13 and 20`, `bits 40-51`: runs of three or more are joined.
func bitNames(_ mask: UInt64) -> String {
  var runs: [ClosedRange<Int>] = []
  for bit in 0..<64 where mask >> UInt64(bit) & 1 != 0 {
    if let last = runs.last, last.upperBound == bit - 1 {
      runs[runs.count - 1] = last.lowerBound...bit
    } else {
      runs.append(bit...bit)
    }
  }
  let words = runs.flatMap { $0.count > 2 ? ["\($0.lowerBound)-\($0.upperBound)"] : $0.map(String.init) }
  return (mask.nonzeroBitCount == 1 ? "bit " : "bits ") + words.joined(separator: ", ")
}

/// `4 KiB`, `2 MiB`, `1 GiB`.
func sizeName(_ bytes: UInt64) -> String {
  if bytes >= 1 << 30 { return "\(bytes >> 30) GiB" }
  return bytes >= 1 << 20 ? "\(bytes >> 20) MiB" : "\(bytes >> 10) KiB"
}

extension ReservedBit {
  static let manual = """
    A walk of the guest's page tables met an entry in which a bit is set that must be zero. The processor raises #PF with
    RSVD (bit 3) and P (bit 0) in the error code, whatever the access was. Early in a kernel's life there is no handler for
    it, so it shows as a triple fault; where KVM had to emulate the instruction, as `KVM internal error. Suberror: 1`.

    ## Which bits

    The processor says that *some* bit is reserved, not which. Inquest works it out from the entry and from what is known of
    the processor.

    | bits | in | reserved if | decided by |
    |---|---|---|---|
    | 7 (PS) | PDPTE | the processor has no 1 GiB pages | CPUID 80000001H:EDX[26], `pdpe1gb` |
    | 7 (PS) | PML4E, PML5E | always | |
    | MAXPHYADDR to 51 | every entry | always | CPUID 80000008H:EAX[7:0], `phys-bits` |
    | 63 (XD) | every entry | EFER.NXE is clear | the guest, MSR C0000080H bit 11 |
    | 29 to 13 | PDPTE of a 1 GiB page | always | |
    | 20 to 13 | PDE of a 2 MiB page | always | |
    | 8 | PML4E, PML5E | the processor is AMD's or Hygon's | CPUID 0 |

    SDM vol. 3, 4.5.4 and tables 4-14 to 4-20; APM vol. 2, 5.3; Linux arch/x86/kvm/mmu/mmu.c: `__reset_rsvds_bits_mask`.

    ## Why it dies here and lives there

    Whose rules count depends on who walks.

    - **KVM with shadow paging** (kvm_intel.ept=0, kvm_amd.npt=0, kvm_pvm) walks the tables itself for every access and goes by
      the guest's CPUID.
    - **With EPT or NPT** the processor walks, by its own rules: a 1 GiB page works if the host's processor has them, whatever the
      guest's CPUID says. KVM walks only for instructions that it emulates, such as those that touch a device. Before
      Linux 5.14 that walk went by the guest's CPUID, so that a page which had worked for hours failed at the first
      emulated instruction behind it.
    - **QEMU's TCG** does not check 1 GiB pages at all. It reports a reserved bit without P (QEMU 7.2: error code 8 where the
      processor says 9).

    ## The cure

    - Bit 7 of a PDPTE: `-cpu MODEL,+pdpe1gb`, or a model that has it (Skylake-Server and later servers, EPYC), if the host's KVM
      offers it. Or a guest that asks CPUID first and falls back to 2 MiB pages, which runs everywhere.
    - Bit 63: set EFER.NXE before the first use.
    - Address bits: mask them to MAXPHYADDR; align large pages to their size.
    - Bit 7 or 8 of a PML4E: clear it.

    ## Try it

    `make demo`, or the guests `one-gib-pages`, `nx-not-enabled`, `address-above-maxphyaddr`, `large-page-misaligned` and
    `pml4-page-size` in `Guests/`.
    """
}
