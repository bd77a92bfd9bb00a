/// What decides which bits of a paging-structure entry are reserved, as far as it is known.
///
/// These are the inputs of whoever walks. Hardware under EPT or NPT goes by the host's CPUID. KVM's own walker goes by
/// the guest's, but for 1 GiB pages: since Linux 5.14 it takes the host's where EPT or NPT is on
/// (`mmu.c: guest_can_use_gbpages`, 6.1), and a recent one takes a guest's flag only if KVM itself offers it (measured
/// on 6.18 with shadow paging: the flag set by KVM_SET_CPUID2 and absent from KVM_GET_SUPPORTED_CPUID does nothing).
///
/// An input is nil where nothing at hand tells; no value is assumed in its place.
public struct PagingRules: Hashable, Sendable {
  /// Whether a PDPTE may map a 1 GiB page: Page1GB, CPUID.80000001H:EDX[26].
  public var hasGiBPages: Bool?
  /// MAXPHYADDR, the width of a physical address: CPUID.80000008H:EAX[7:0], 32 to 52.
  public var maximumPhysicalAddressBits: Int?
  /// EFER.NXE.
  public var executeDisableEnabled: Bool?
  /// Whether the processor is AMD's or Hygon's, where bit 8 of a PML4E must be zero.
  public var isAMD: Bool?
  /// How many bits the physical address of a 4 MiB page of 32-bit paging has, 32 to 40.
  ///
  /// The least of MAXPHYADDR and 40 on a processor with PSE-36, else 32 (SDM vol. 3, 4.1.4 and table 4-4).
  public var fourMiBPageAddressBits: Int?
  /// Where the walker departs from the architecture.
  public var quirks: WalkerQuirks

  public init(
    hasGiBPages: Bool? = nil, maximumPhysicalAddressBits: Int? = nil, executeDisableEnabled: Bool? = nil,
    isAMD: Bool? = nil, fourMiBPageAddressBits: Int? = nil, quirks: WalkerQuirks = []
  ) {
    self.hasGiBPages = hasGiBPages
    self.maximumPhysicalAddressBits = maximumPhysicalAddressBits
    self.executeDisableEnabled = executeDisableEnabled
    self.isAMD = isAMD
    self.fourMiBPageAddressBits = fourMiBPageAddressBits
    self.quirks = quirks
  }

  /// The rules of a walker that goes by this CPUID and EFER; see ``PagingRules`` for who does.
  public init(cpuid: CPUID, efer: EFER?) {
    let width = cpuid.maximumPhysicalAddressBits
    let hasPSE36 = cpuid[CPUIDField(leaf: 1, register: .edx, lowestBit: 17)].map { $0 != 0 }
    self.init(
      hasGiBPages: cpuid.has(.pdpe1gb), maximumPhysicalAddressBits: width,
      executeDisableEnabled: efer?.contains(.executeDisableEnable), isAMD: cpuid.isAMD,
      fourMiBPageAddressBits: hasPSE36 == false ? 32 : hasPSE36 == nil ? nil : width.map { min(max($0, 32), 40) })
  }

  /// The reserved bits that are set in `entry`, by the rule that reserves each of them.
  ///
  /// A rule is left out if what is known excludes it, is definite if what is known suffices to break it, and is
  /// conditional if an input that is not known decides. The result is empty for an entry that is not present, in which
  /// no bit is reserved (SDM vol. 3, 4.5.4; `paging_tmpl.h: walk_addr_generic` tests P first).
  ///
  /// Where a walker has *reported* a reserved bit in `entry`, these are the rules that can be its reason;
  /// ``ReservedBitViolations/explanation`` draws the conclusion.
  public func violations(
    of entry: PageTableEntry, at structure: PagingStructure, in format: TableFormat = .longMode
  ) -> ReservedBitViolations {
    ReservedBitViolations(of: entry, at: structure, in: format, under: self)
  }

  /// Every bit that could be reserved in an entry like this one: an entry without any of them breaks no rule.
  @inlinable
  func suspects(of entry: PageTableEntry, at structure: PagingStructure, in format: TableFormat) -> UInt64 {
    // Bits 21:13 of a 4 MiB page's PDE are the only ones that 32-bit paging reserves.
    if format.isTwoLevel {
      return structure == .pageDirectory && entry.isLeaf(at: structure, in: format) ? 0x3F_E000 : 0
    }
    var bits = ReservedBitRule.addressBits(from: lowestReservedAddressBit)
    if executeDisableEnabled != true { bits |= 1 << 63 }
    if format == .pae { bits |= 0x7FF0_0000_0000_0000 }
    switch structure {
    case .pml5, .pml4: bits |= 1 << 7 | 1 << 8
    case .pageDirectoryPointerTable:
      if entry.pageSizeBit { bits |= structure.largePageOffsetBits }
      if hasGiBPages != true { bits |= 1 << 7 }
    case .pageDirectory:
      if entry.pageSizeBit { bits |= structure.largePageOffsetBits }
    case .pageTable: break
    }
    return bits
  }

  /// MAXPHYADDR, or the least it can be.
  ///
  /// 32 is the least that SDM vol. 3, 4.1.4 knows and that QEMU accepts (`phys-bits` "should be between 32 and 52").
  @inlinable
  var lowestReservedAddressBit: Int { maximumPhysicalAddressBits ?? 32 }

  /// The widths of addresses, or the least they can be.
  var leastWidths: AddressWidths {
    AddressWidths(
      physical: UInt8(clamping: min(lowestReservedAddressBit, 52)),
      fourMiBPage: UInt8(clamping: fourMiBPageAddressBits ?? 32))
  }
}
