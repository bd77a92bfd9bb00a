import X86

extension Examiner {
  /// Holds the entries that were used against each walker's rules.
  mutating func examineTables(_ paging: Paging, _ inputs: WalkerInputs, in memory: some PhysicalMemory) {
    guard paging.mode != .none else { return }
    examinePDPTERegisters(paging, inputs, in: memory)
    var search = UsedEntrySearch(paging: paging.withoutRules, isAMD: inputs.guest.isAMD)
    let end = search.paging.scan(in: memory, tableLimit: UsedEntrySearch.mostTables, visitor: &search)
    if end != .complete { unjudged.append("vCPU \(processor.index): not all page tables could be gone through") }
    for (rule, found) in search.found.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      judge(found, by: rule, paging, inputs, in: memory)
    }
    for table in search.missingTables.prefix(4) {
      faults.append(
        LatentFault(
          "paging.table-outside-ram", .warning,
          "the \(table.structure.entryName) \(table.entry.rawValue.hexadecimal) at physical "
            + "\(table.entryAddress.rawValue.hexadecimal) is in use and leads where there is no memory: each access from "
            + "\(table.start.rawValue.hexadecimal) on is a page fault under KVM, and whatever the bus answers on a processor",
          remedy: "keep page tables in RAM", source: .guestMemory))
    }
  }

  private mutating func judge(
    _ found: UsedEntrySearch.Found, by rule: ReservedBitRule, _ paging: Paging, _ inputs: WalkerInputs,
    in memory: some PhysicalMemory
  ) {
    let finding = found.first
    let format = paging.format ?? .longMode
    var opinions = inputs.opinions(of: walkers, on: finding.entry, at: finding.structure, in: format)
    opinions.opinions.removeAll { $0.subject[rule] == nil && !$0.subject.isEmpty }
    guard let walker = opinions.refusing.first else {
      if !opinions.undecided.isEmpty {
        unjudged.append(
          "the \(finding.structure.entryName) \(finding.entry.rawValue.hexadecimal) (\(rule.words)): the guest's CPUID is not "
            + "known; --cpu MODEL tells it")
      }
      return
    }
    let walk = paging.seen(by: walker, inputs).walk(
      finding.start, for: PageAccess(.read, by: .supervisor), in: memory)
    let others = found.count > 1 ? ", and \(found.count - 1) more like it" : ""
    let here = scene.knownWalker.map { inputs.opinions(of: [$0], on: finding.entry, at: finding.structure, in: format) }
    let isSurvived = here.map { !$0.accepting.isEmpty } ?? false
    faults.append(
      LatentFault(
        ReservedBit.id, .warning,
        "the \(finding.structure.entryName) \(finding.entry.rawValue.hexadecimal) at physical "
          + "\(finding.entryAddress.rawValue.hexadecimal)\(others), in use: \(rule.words)"
          + (isSurvived ? "; what runs the guest here does not check it" : ""),
        remedy: rule.advice, source: .guestMemory, refusing: opinions.refusing, accepting: opinions.accepting,
        walk: walk))
  }

  /// PAE paging: whether the registers could have been loaded by a processor.
  private mutating func examinePDPTERegisters(
    _ paging: Paging, _ inputs: WalkerInputs, in memory: some PhysicalMemory
  ) {
    guard paging.mode == .pae else { return }
    let refusing = walkers.filter { walker in
      let seen = paging.seen(by: walker, inputs)
      guard !seen.rules.quirks.contains(.readsPDPTEs) else { return false }
      do throws(PDPTELoadFault) {
        _ = try seen.loadPDPTEs(from: memory)
        return false
      } catch {
        return error.isDefinite
      }
    }
    guard !refusing.isEmpty else { return }
    faults.append(
      LatentFault(
        "paging.pae-pdpte", .warning,
        "a page-directory-pointer-table entry at \(paging.rootTable.rawValue.hexadecimal) has bits set that must be zero: "
          + "loading CR3 raises #GP",
        remedy: "write 1 (P) and the address of the page directory into a PDPTE, and no R/W, U/S, A or PS",
        source: .guestMemory, refusing: refusing, accepting: walkers.filter { !refusing.contains($0) }))
  }
}

extension Paging {
  /// The same tables with nothing known of the processor, so that every bit that could be reserved shows.
  fileprivate var withoutRules: Paging {
    var paging = self
    paging.rules = PagingRules(executeDisableEnabled: rules.executeDisableEnabled, quirks: .readsPDPTEs)
    return paging
  }
}

/// Finds the used entries with bits that some walker reserves, the first of each rule, and tables that are not there.
private struct UsedEntrySearch: AddressSpaceVisitor {
  /// Enough for 64 GiB in 4 KiB pages.
  static let mostTables = 1 << 15

  struct Found {
    var first: TableFinding
    var count: Int
  }

  let paging: Paging
  let isAMD: Bool?
  private(set) var found: [ReservedBitRule: Found] = [:]
  private(set) var missingTables: [TableFinding] = []

  init(paging: Paging, isAMD: Bool?) {
    self.paging = paging
    self.isAMD = isAMD
  }

  mutating func visit(_ range: MappedRange) {}

  mutating func visit(_ finding: TableFinding) {
    guard isUsed(finding.entry, in: finding.structure) else { return }
    switch finding.kind {
    case .reservedBits(let violations):
      for violation in violations {
        if found[violation.rule] == nil { found[violation.rule] = Found(first: finding, count: 0) }
        found[violation.rule]?.count += 1
      }
    case .tableUnavailable(let memory):
      if memory.reason == .unbacked { missingTables.append(finding) }
    case .selfMap: break
    }
  }

  mutating func enter(_ table: PhysicalAddress, _ structure: PagingStructure, by entry: PageTableEntry?) -> Bool {
    guard let entry, let above = PagingStructure(level: structure.level + 1) else { return true }
    return isUsed(entry, in: above)
  }

  /// A translation has used it: A is set. A PDPTE of PAE paging has no A.
  private func isUsed(_ entry: PageTableEntry, in structure: PagingStructure) -> Bool {
    entry.isAccessed || paging.mode == .pae && structure == .pageDirectoryPointerTable
  }
}

extension ReservedBitRule {
  /// How to keep it.
  fileprivate var advice: String {
    switch self {
    case .pageSizeWithoutGiBPages:
      "ask CPUID 80000001H:EDX[26] before using 1 GiB pages, or run QEMU with -cpu MODEL,+pdpe1gb"
    case .pageSizeInPML4EOrPML5E: "clear bit 7 of the entry"
    case .addressAboveMAXPHYADDR: "keep addresses below MAXPHYADDR, CPUID 80000008H:EAX[7:0]"
    case .executeDisableWithoutNXE: "set EFER.NXE (MSR C0000080H, bit 11) before using bit 63"
    case .largePageAddress: "align the page's address to its size"
    case .amdBit8: "clear bit 8 (G) of entries that lead to a table"
    case .highBitsInPAE, .pdpteBitsInPAE: "clear the bits, whatever they mean in 4-level paging"
    case .fourMiBPageAddress: "keep 4 MiB pages below 4 GiB, or ask for PSE-36 first"
    }
  }
}
