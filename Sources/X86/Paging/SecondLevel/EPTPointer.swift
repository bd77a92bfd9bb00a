/// The EPTP: the VMCS field that names the extended page tables (SDM vol. 3, 25.6.11).
public struct EPTPointer: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// Bits 2:0: how the tables themselves are accessed; nil for a reserved value.
  public var memoryType: MemoryType? { MemoryType(rawValue: UInt8(truncatingIfNeeded: rawValue & 7)) }
  /// Bits 5:3 and one: how many levels the walk has, 1 to 8; only 4 and 5 are valid.
  public var levels: Int { Int(rawValue >> 3 & 7) + 1 }
  /// Bit 6: accessed and dirty flags are kept, and accesses to the guest's tables count as writes.
  @inlinable
  public var enablesAccessedAndDirty: Bool { rawValue & 1 << 6 != 0 }
  /// Bit 7: the access rights of supervisor shadow-stack pages are enforced.
  public var enforcesSupervisorShadowStack: Bool { rawValue & 1 << 7 != 0 }
  /// Bits 51:12: the root table, a PML4 or PML5.
  @inlinable
  public var rootTable: PhysicalAddress { PhysicalAddress(rawValue & 0x000F_FFFF_FFFF_F000) }

  /// The structure that the pointer leads to; nil unless the walk has 4 or 5 levels.
  @inlinable
  public var rootStructure: PagingStructure? {
    switch rawValue >> 3 & 7 {
    case 3: .pml4
    case 4: .pml5
    default: nil
    }
  }
}

/// The checks that an EPTP fails at VM entry, or at VMFUNC (SDM vol. 3, 27.2.1.1 and 26.5.6.3).
public struct EPTPointerViolations: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The memory type is neither UC nor WB.
  public static let memoryType = Self(rawValue: 1 << 0)
  /// The walk has neither 4 nor 5 levels.
  public static let walkLength = Self(rawValue: 1 << 1)
  /// One of bits 11:8 or of those from MAXPHYADDR up is set; they are reserved.
  public static let reservedBits = Self(rawValue: 1 << 2)
  /// The pointer asks for what the processor lacks: a memory type, a walk length, accessed and dirty flags.
  public static let unsupported = Self(rawValue: 1 << 3)
}

/// What a processor's EPT offers: IA32_VMX_EPT_VPID_CAP, MSR 48CH (SDM vol. 3, A.10).
public struct EPTCapabilities: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Pages that may be executed and not read.
  public static let executeOnly = Self(rawValue: 1 << 0)
  public static let fourLevels = Self(rawValue: 1 << 6)
  public static let fiveLevels = Self(rawValue: 1 << 7)
  /// The tables may be accessed as UC.
  public static let uncacheableTables = Self(rawValue: 1 << 8)
  /// The tables may be accessed as WB.
  public static let writeBackTables = Self(rawValue: 1 << 14)
  public static let twoMiBPages = Self(rawValue: 1 << 16)
  public static let oneGiBPages = Self(rawValue: 1 << 17)
  public static let accessedAndDirty = Self(rawValue: 1 << 21)
  /// The exit qualification of an EPT violation has bits 11:9.
  public static let advancedExitInformation = Self(rawValue: 1 << 22)
  /// Shadow-stack pages: bit 7 of the EPTP.
  public static let supervisorShadowStack = Self(rawValue: 1 << 23)
}

extension EPTPointer {
  /// The checks that this pointer fails, with what is known of the processor; empty for a valid one.
  ///
  /// - Parameters:
  ///   - capabilities: Nil where they are not known; then only what no processor accepts is reported.
  ///   - maximumPhysicalAddressBits: MAXPHYADDR; nil where it is not known.
  public func violations(
    capabilities: EPTCapabilities?, maximumPhysicalAddressBits: Int?
  ) -> EPTPointerViolations {
    var violations: EPTPointerViolations = []
    if memoryType != .uncacheable && memoryType != .writeBack { violations.insert(.memoryType) }
    if rootStructure == nil { violations.insert(.walkLength) }
    let addressBits = ReservedBitRule.addressBits(from: maximumPhysicalAddressBits ?? 52) | 0xFFF0_0000_0000_0000
    if rawValue & (addressBits | 0xF00) != 0 { violations.insert(.reservedBits) }
    if let capabilities, !capabilities.isSuperset(of: neededCapabilities) { violations.insert(.unsupported) }
    return violations
  }

  private var neededCapabilities: EPTCapabilities {
    var needed: EPTCapabilities = []
    if memoryType == .uncacheable { needed.insert(.uncacheableTables) }
    if memoryType == .writeBack { needed.insert(.writeBackTables) }
    if rootStructure == .pml4 { needed.insert(.fourLevels) }
    if rootStructure == .pml5 { needed.insert(.fiveLevels) }
    if enablesAccessedAndDirty { needed.insert(.accessedAndDirty) }
    if enforcesSupervisorShadowStack { needed.insert(.supervisorShadowStack) }
    return needed
  }
}
