import QEMU
import X86

/// `paging.long-mode-tables`: the tables at CR3 are those of long mode, and PAE paging reads them, for EFER.LME was not set.
struct LongModeTablesInPAE: SingleCause, JudgedCause {
  static let id = "paging.long-mode-tables"
  static let title = "Tables of long mode are read as those of PAE paging"
  static let refines = [
    CodeNotMapped.id, ReservedBit.id, TableOutsideRAM.id, FetchOutsideMemory.id, ExecutingZeroes.id,
  ]

  /// Both walks are facts of the same tables.
  let confidence = Confidence.proven
  private let state: ProcessorState
  private let scene: Scene

  /// Nil unless the tables, read as four levels, map the instruction to itself, as code does that turns paging on, and PAE paging does not lead
  /// there.
  init?(_ processor: ObservedProcessor, in scene: Scene) {
    let state = processor.state
    let instant = scene.instant(of: processor)
    guard state.pagingMode == .pae, state.efer?.contains(.longModeEnable) == false, var tables = instant.paging else {
      return nil
    }
    let address = state.instructionAddress
    if case .physical(let place) = instant.translate(address, for: Self.fetch), place.rawValue == address.rawValue {
      return nil
    }
    tables.mode = .fourLevel
    let walk = tables.walk(address, for: Self.fetch, in: instant.memory)
    guard walk.steps.count >= Self.leastSteps, walk.outcome.physicalAddress?.rawValue == address.rawValue else {
      return nil
    }
    (self.state, self.scene) = (state, scene)
  }

  /// Two would not do: PAE paging's PDPTE and a PDE of 2 MiB at 0 are, read as four levels, a page of 1 GiB, which maps to itself what lies behind
  /// those 2 MiB and is not there.
  private static let leastSteps = 3

  private static let fetch = PageAccess(.fetch, by: .supervisor)

  /// Nil where nothing tells whether the processor has long mode.
  private var hasLongMode: Bool? { scene.decision(on: .lm).isOn }

  var summary: String {
    let address = state.instructionAddress.rawValue.hexadecimal
    let reading =
      "The tables at CR3 (\(state.cr3.hexadecimal)) are of four levels, and as such map \(address), the instruction, to itself. But EFER.LME (bit 8) is 0, so CR0.PG turned PAE paging on, which takes the PML4 table for the four PDPTEs of its own and leads elsewhere."
    guard hasLongMode == false else { return "\(reading) Long mode begins only where EFER.LME is set before CR0.PG." }
    return
      "\(reading) This guest's processor has no 64-bit mode: \(ProcessorFeature.lm.bit) (\(ProcessorFeature.lm.name)) is 0, \(scene.decision(on: .lm).words). A processor and KVM refuse EFER.LME then (#GP); TCG drops it."
  }

  var remedies: [Remedy] {
    guard hasLongMode == false else {
      return [
        .guest(
          "set EFER.LME (WRMSR to C0000080H, bit 8) after CR4.PAE and CR3, and before CR0.PG",
          "Which form the tables have is decided when CR0.PG is set.")
      ]
    }
    return scene.remedies(
      offering: .lm, purpose: "64-bit mode",
      fallback: .guest(
        "ask CPUID for long mode, \(ProcessorFeature.lm.bit), before going to long mode, and say so where it is not there",
        "A kernel of 64 bits cannot run on a processor of 32."))
  }

  var evidence: [Evidence] {
    let walks = Evidence(
      "Read as four levels, the tables at \(state.cr3.hexadecimal) map \(state.instructionAddress.rawValue.hexadecimal) to itself; read as PAE paging they do not",
      .guestMemory)
    return [walks] + (hasLongMode == nil ? [] : [scene.evidence(of: .lm)])
  }
}

extension LongModeTablesInPAE {
  static let manual = """
    CR3 points to a PML4 table, and the processor reads it in PAE paging, where CR3 points to four PDPTEs: one level less. What the PML4E leads to is
    taken for a page directory, the page directory for page tables, and the next instruction is fetched from somewhere else, or from
    nowhere.

    ## How to recognise it

    CR0.PG and CR4.PAE are set, EFER.LME and EFER.LMA are not. A processor mostly refuses MOV CR0 already (#GP): a PDPTE of PAE paging must have bits 1 and 2 clear,
    which a PML4E has set. TCG does not check them and goes on.

    ## Why

    - EFER.LME was not set, or only after CR0.PG.
    - The guest's processor has no long mode (`-cpu qemu32`, `pentium3`, `qemu64,-lm`): a processor and KVM raise #GP at the WRMSR, TCG ignores the bit.

    ## The cure

    A processor with long mode (`-cpu qemu64`); CPUID 80000001H:EDX[29] tells. Then CR4.PAE, CR3, EFER.LME, and CR0.PG last.

    SDM vol. 3, 4.1.1, 4.4.1, 10.8.5; QEMU target/i386/tcg/sysemu/misc_helper.c: helper_wrmsr, 7.2.
    """
}
