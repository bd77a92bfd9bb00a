/// One entry that a walk read, and what was found in it.
public struct WalkStep: Hashable, Sendable {
  public enum Verdict: Hashable, Sendable {
    /// Nothing in this entry ended the walk or denied the access.
    case accepted
    /// P is clear.
    case notPresent
    /// Reserved bits are set.
    case reservedBits(ReservedBitViolations)
    /// Reserved bits may be set; what decides is not known.
    case possiblyReservedBits(ReservedBitViolations)
    /// This entry is one that denies the access, by the bits it has or, at the page itself, by the kind of page.
    case denied(ProtectionViolations)
    /// The protection key of the page decides, and the key register is not known.
    case protectionKeyUnknown(UInt8)
  }

  public var structure: PagingStructure
  /// The number of the entry in its table: 0 to 1023 in 32-bit paging, 0 to 3 of PAE paging's PDPTEs, else 0 to 511.
  public var index: Int
  /// Where the entry lies; of a PDPTE register, where it was loaded from.
  public var entryAddress: PhysicalAddress
  public var entry: PageTableEntry
  public var verdict: Verdict

  public init(
    structure: PagingStructure, index: Int, entryAddress: PhysicalAddress, entry: PageTableEntry, verdict: Verdict
  ) {
    self.structure = structure
    self.index = index
    self.entryAddress = entryAddress
    self.entry = entry
    self.verdict = verdict
  }
}

extension PageWalk {
  /// The entries that were read, from the root down. A table that could not be read has no step.
  public var steps: Steps { Steps(walk: self) }

  /// The steps of a walk, made when they are asked for.
  public struct Steps: RandomAccessCollection, Sendable {
    let walk: PageWalk

    public var startIndex: Int { 0 }
    public var endIndex: Int { walk.entries.count }

    public subscript(position: Int) -> WalkStep {
      precondition(indices.contains(position), "the walk has no such step")
      let structure = walk.structure(ofStep: position)
      let format = walk.paging.format ?? .longMode
      let entry = PageTableEntry(walk.entries.storage[position])
      let table =
        position == 0 ? walk.paging.rootTable : PageTableEntry(walk.entries.storage[position - 1]).table
      return WalkStep(
        structure: structure, index: format.index(of: walk.address, at: structure),
        entryAddress: format.entryAddress(of: walk.address, at: structure, in: table), entry: entry,
        verdict: walk.verdict(on: entry, at: structure, in: format))
    }
  }

  /// The structure that the step read: one lower with each step.
  private func structure(ofStep position: Int) -> PagingStructure {
    var structure = paging.rootStructure ?? .pml4
    for _ in 0..<position { structure = structure.next ?? structure }
    return structure
  }

  private func verdict(
    on entry: PageTableEntry, at structure: PagingStructure, in format: TableFormat
  ) -> WalkStep.Verdict {
    switch outcome {
    case .translated, .unpaged, .notCanonical:
      return .accepted
    case .pdpteNotLoadable(let fault):
      guard case .reservedBits(let violations) = fault.cause else { return .accepted }
      return .reservedBits(violations)
    case .pageFault(let fault):
      if case .protection(let violations) = fault.cause {
        let denied = violations.intersection(entry.deniable(at: structure, in: format))
        return denied.isEmpty ? .accepted : .denied(denied)
      }
      guard structure == fault.structure else { return .accepted }
      return switch fault.cause {
      case .notPresent: .notPresent
      case .reservedBits(let violations): .reservedBits(violations)
      case .protection, .tableUnbacked: .accepted
      }
    case .undetermined(let doubt, at: let failed):
      guard structure == failed else { return .accepted }
      return switch doubt {
      case .reservedBits(let violations): .possiblyReservedBits(violations)
      case .protectionKey(let key): .protectionKeyUnknown(key)
      case .tableUnavailable: .accepted
      }
    }
  }
}

extension PageTableEntry {
  /// The protection checks that can fail on account of this entry.
  ///
  /// SMEP, SMAP and protection keys look at the page, so they are held against the leaf.
  fileprivate func deniable(at structure: PagingStructure, in format: TableFormat) -> ProtectionViolations {
    // A PDPTE of PAE paging holds no rights.
    if format == .pae && structure == .pageDirectoryPointerTable { return [] }
    var checks: ProtectionViolations = []
    if !isWritable { checks.insert(.readOnly) }
    if !isUser { checks.insert(.supervisorOnly) }
    if isExecuteDisabled { checks.insert(.executeDisabled) }
    if isLeaf(at: structure, in: format) {
      checks.formUnion([.supervisorExecution, .supervisorAccess, .protectionKey])
    }
    return checks
  }
}
