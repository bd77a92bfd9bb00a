/// A reason for which a bit of a paging-structure entry must be zero.
///
/// Sources: SDM vol. 3, 4.3 to 4.5 with tables 4-4 to 4-20; APM vol. 2, 5.2 and 5.3; KVM
/// `mmu.c: __reset_rsvds_bits_mask` and `x86.c: pdptr_rsvd_bits`, the same in 5.10, 5.15, 6.1, 6.12 and 6.19. In 4-level
/// and 5-level paging bits 58:52 are ignored and 62:59 are never reserved.
public enum ReservedBitRule: UInt8, Hashable, Sendable, CaseIterable {
  /// Bit 7 (PS) of a PDPTE asks for a 1 GiB page, and the processor has none: CPUID.80000001H:EDX[26] is clear.
  case pageSizeWithoutGiBPages
  /// Bit 7 of a PML4E or PML5E, which map no page on any processor.
  case pageSizeInPML4EOrPML5E
  /// A bit from MAXPHYADDR (CPUID.80000008H:EAX[7:0]) to 51, in an entry of 8 bytes of any structure.
  case addressAboveMAXPHYADDR
  /// Bit 63 (XD) while EFER.NXE is clear, in an entry of 8 bytes of any structure but PAE paging's PDPT.
  case executeDisableWithoutNXE
  /// A bit below the page's size in the address of a large page: 29:13 of a 1 GiB PDPTE, 20:13 of a 2 MiB PDE.
  ///
  /// Bit 12 is PAT.
  case largePageAddress
  /// Bit 8 of a PML4E or PML5E on a processor of AMD or Hygon (APM vol. 2, 5.3.3); others ignore it.
  ///
  /// KVM applies it by the guest's vendor; until Linux 5.8 it also applied it to a PDPTE that leads to a table.
  case amdBit8
  /// One of bits 62:52 of a PDE or PTE of PAE paging, or 63:52 of its PDPTE; 4-level paging ignores most of them.
  case highBitsInPAE
  /// One of bits 2:1 and 8:5 of a PDPTE of PAE paging, which holds no rights, no A and no PS.
  ///
  /// QEMU's TCG does not check it (`excp_helper.c: mmu_translate`, 10.2).
  case pdpteBitsInPAE
  /// A bit above the physical address of a 4 MiB page: bits 20:13 of the PDE are bits 39:32 of the address as far as the
  /// processor has them, and bit 21 is reserved on every one (SDM vol. 3, table 4-4 and 4.3).
  ///
  /// Which they are: ``PagingRules/fourMiBPageAddressBits``.
  case fourMiBPageAddress

  /// The CPUID feature that would lift the rule; nil for a rule that no single feature decides.
  public var feature: ProcessorFeature? {
    switch self {
    case .pageSizeWithoutGiBPages: .pdpe1gb
    case .executeDisableWithoutNXE: .nx
    case .pageSizeInPML4EOrPML5E, .addressAboveMAXPHYADDR, .largePageAddress, .amdBit8, .highBitsInPAE,
      .pdpteBitsInPAE, .fourMiBPageAddress:
      nil
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
  /// The physical address of a 4 MiB page has this many bits or fewer.
  case fourMiBPageAddressBits(atMost: Int)
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
  ///
  /// - Parameter widths: Of addresses; where one is not known, the least it can be.
  func reservedBits(
    of entry: PageTableEntry, at structure: PagingStructure, in format: TableFormat, widths: AddressWidths
  ) -> UInt64 {
    if format.isTwoLevel {
      guard self == .fourMiBPageAddress, structure == .pageDirectory, entry.isLeaf(at: structure, in: format) else {
        return 0
      }
      return widths.reservedBitsOfFourMiBPage
    }
    if format == .pae && structure == .pageDirectoryPointerTable { return reservedBitsOfPAEPDPTE(widths: widths) }
    switch (self, structure) {
    case (.pageSizeWithoutGiBPages, .pageDirectoryPointerTable): return 1 << 7
    case (.pageSizeInPML4EOrPML5E, .pml4), (.pageSizeInPML4EOrPML5E, .pml5): return 1 << 7
    case (.addressAboveMAXPHYADDR, _): return Self.addressBits(from: Int(widths.physical))
    case (.executeDisableWithoutNXE, _): return 1 << 63
    case (.largePageAddress, .pageDirectory), (.largePageAddress, .pageDirectoryPointerTable):
      return entry.pageSizeBit ? structure.largePageOffsetBits : 0
    case (.amdBit8, .pml4), (.amdBit8, .pml5): return 1 << 8
    case (.highBitsInPAE, _): return format == .pae ? 0x7FF0_0000_0000_0000 : 0
    default: return 0
    }
  }

  private func reservedBitsOfPAEPDPTE(widths: AddressWidths) -> UInt64 {
    switch self {
    case .addressAboveMAXPHYADDR: Self.addressBits(from: Int(widths.physical))
    case .highBitsInPAE: 0xFFF0_0000_0000_0000
    case .pdpteBitsInPAE: 0x1E6
    default: 0
    }
  }

  /// Whether a present entry breaks this rule.
  func verdict(
    on entry: PageTableEntry, at structure: PagingStructure, in format: TableFormat, under rules: PagingRules
  ) -> Verdict {
    let bits = reservedBits(of: entry, at: structure, in: format, widths: rules.leastWidths) & entry.rawValue
    guard bits != 0 else { return .kept }
    let applies: Bool? =
      switch self {
      case .pageSizeInPML4EOrPML5E, .largePageAddress, .highBitsInPAE: true
      case .pageSizeWithoutGiBPages: rules.hasGiBPages.map { !$0 }
      case .executeDisableWithoutNXE: rules.executeDisableEnabled.map { !$0 }
      case .amdBit8: rules.isAMD
      case .addressAboveMAXPHYADDR: rules.maximumPhysicalAddressBits == nil ? nil : true
      case .pdpteBitsInPAE: !rules.quirks.contains(.ignoresPDPTEBits)
      case .fourMiBPageAddress:
        rules.fourMiBPageAddressBits == nil && bits & AddressWidths.bit21 == 0 ? nil : true
      }
    guard let applies else { return .brokenIf }
    return applies ? .broken : .kept
  }

  /// What must be so for this rule to reserve one of `bits`, where that is not known.
  func condition(onBits bits: UInt64) -> ReservedBitCondition? {
    let highest = 63 - bits.leadingZeroBitCount
    return switch self {
    case .pageSizeWithoutGiBPages: .withoutGiBPages
    case .executeDisableWithoutNXE: .executeDisableNotEnabled
    case .amdBit8: .isAMD
    case .addressAboveMAXPHYADDR: .maximumPhysicalAddressBits(atMost: highest)
    case .fourMiBPageAddress: .fourMiBPageAddressBits(atMost: highest + 19)
    case .pageSizeInPML4EOrPML5E, .largePageAddress, .highBitsInPAE, .pdpteBitsInPAE: nil
    }
  }
}

/// How wide physical addresses are: from which bit on an entry's address bits are, or may be, reserved.
struct AddressWidths: Hashable, Sendable {
  static let bit21: UInt64 = 1 << 21

  /// MAXPHYADDR, at most 52.
  var physical: UInt8
  /// The width of the address of a 4 MiB page, 32 to 40.
  var fourMiBPage: UInt8

  /// Bits 21:(width - 19): those of 20:13 that are no address bits, and bit 21.
  var reservedBitsOfFourMiBPage: UInt64 {
    let lowest = UInt64(min(max(fourMiBPage, 32), 40)) - 19
    return 0x3F_FFFF & ~0 << lowest
  }
}
