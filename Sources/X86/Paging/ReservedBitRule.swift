/// A reason for which a bit of a paging-structure entry must be zero in 4-level and 5-level paging.
///
/// Sources: SDM vol. 3, 4.5.4 with tables 4-14 to 4-20; APM vol. 2, 5.3; KVM `mmu.c: __reset_rsvds_bits_mask`, the same
/// in 5.10, 5.15, 6.1, 6.12 and 6.19. Bits 58:52 are ignored and 62:59 are never reserved.
public enum ReservedBitRule: UInt8, Hashable, Sendable, CaseIterable {
  /// Bit 7 (PS) of a PDPTE asks for a 1 GiB page, and the processor has none: CPUID.80000001H:EDX[26] is clear.
  case pageSizeWithoutGiBPages
  /// Bit 7 of a PML4E or PML5E, which map no page on any processor.
  case pageSizeInPML4EOrPML5E
  /// A bit from MAXPHYADDR (CPUID.80000008H:EAX[7:0]) to 51, in an entry of any structure.
  case addressAboveMAXPHYADDR
  /// Bit 63 (XD) while EFER.NXE is clear, in an entry of any structure.
  case executeDisableWithoutNXE
  /// A bit below the page's size in the address of a large page: 29:13 of a 1 GiB PDPTE, 20:13 of a 2 MiB PDE.
  ///
  /// Bit 12 is PAT.
  case largePageAddress
  /// Bit 8 of a PML4E or PML5E on a processor of AMD or Hygon (APM vol. 2, 5.3.3); others ignore it.
  ///
  /// KVM applies it by the guest's vendor; until Linux 5.8 it also applied it to a PDPTE that leads to a table.
  case amdBit8

  /// The CPUID feature that would lift the rule; nil for a rule that no single feature decides.
  public var feature: CPUIDFeature? {
    switch self {
    case .pageSizeWithoutGiBPages: .pdpe1gb
    case .executeDisableWithoutNXE: .nx
    case .pageSizeInPML4EOrPML5E, .addressAboveMAXPHYADDR, .largePageAddress, .amdBit8: nil
    }
  }
}

/// What must be so for a set bit to be reserved, where nothing at hand tells.
public enum ReservedBitCondition: Hashable, Sendable {
  /// The processor has no 1 GiB pages.
  case withoutGiBPages
  /// MAXPHYADDR is this or less.
  case maximumPhysicalAddressBits(atMost: Int)
  /// EFER.NXE is clear.
  case executeDisableNotEnabled
  /// The processor is AMD's or Hygon's.
  case isAMD
}

extension ReservedBitRule {
  /// What a rule says of one entry.
  enum Verdict {
    case kept
    case broken
    /// An input that is not known decides.
    case brokenIf
  }

  /// The bits of a physical address from `lowest` to 51; none if `lowest` is above.
  @inlinable
  static func addressBits(from lowest: Int) -> UInt64 {
    guard lowest < 52 else { return 0 }
    return 0x000F_FFFF_FFFF_FFFF & ~0 << UInt64(max(lowest, 0))
  }

  /// The bits that this rule, where it applies, reserves in an entry like this one.
  func reservedBits(of entry: PageTableEntry, at structure: PagingStructure, addressWidth: Int) -> UInt64 {
    switch (self, structure) {
    case (.pageSizeWithoutGiBPages, .pageDirectoryPointerTable): 1 << 7
    case (.pageSizeInPML4EOrPML5E, .pml4), (.pageSizeInPML4EOrPML5E, .pml5): 1 << 7
    case (.addressAboveMAXPHYADDR, _): Self.addressBits(from: addressWidth)
    case (.executeDisableWithoutNXE, _): 1 << 63
    case (.largePageAddress, .pageDirectory), (.largePageAddress, .pageDirectoryPointerTable):
      entry.pageSizeBit ? structure.largePageOffsetBits : 0
    case (.amdBit8, .pml4), (.amdBit8, .pml5): 1 << 8
    default: 0
    }
  }

  /// Whether a present entry breaks this rule.
  func verdict(on entry: PageTableEntry, at structure: PagingStructure, under rules: PagingRules) -> Verdict {
    let bits = reservedBits(of: entry, at: structure, addressWidth: rules.lowestReservedAddressBit)
    guard entry.rawValue & bits != 0 else { return .kept }
    let applies: Bool? =
      switch self {
      case .pageSizeInPML4EOrPML5E, .largePageAddress: true
      case .pageSizeWithoutGiBPages: rules.hasGiBPages.map { !$0 }
      case .executeDisableWithoutNXE: rules.executeDisableEnabled.map { !$0 }
      case .amdBit8: rules.isAMD
      case .addressAboveMAXPHYADDR: rules.maximumPhysicalAddressBits == nil ? nil : true
      }
    guard let applies else { return .brokenIf }
    return applies ? .broken : .kept
  }

  /// What must be so for this rule to reserve one of `bits`, where that is not known.
  func condition(onBits bits: UInt64) -> ReservedBitCondition? {
    switch self {
    case .pageSizeWithoutGiBPages: .withoutGiBPages
    case .executeDisableWithoutNXE: .executeDisableNotEnabled
    case .amdBit8: .isAMD
    case .addressAboveMAXPHYADDR: .maximumPhysicalAddressBits(atMost: 63 - bits.leadingZeroBitCount)
    case .pageSizeInPML4EOrPML5E, .largePageAddress: nil
    }
  }
}
