/// CR0 (SDM vol. 3, 2.5 "Control Registers").
public struct CR0: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// PE: protected mode.
  public static let protectionEnable = Self(rawValue: 1 << 0)
  /// MP: WAIT honours TS.
  public static let monitorCoprocessor = Self(rawValue: 1 << 1)
  /// EM: x87 instructions raise #NM, SSE instructions #UD.
  public static let emulation = Self(rawValue: 1 << 2)
  /// TS: the next FPU or SSE instruction raises #NM.
  public static let taskSwitched = Self(rawValue: 1 << 3)
  /// ET: always one.
  public static let extensionType = Self(rawValue: 1 << 4)
  /// NE: x87 errors raise #MF instead of an external interrupt.
  public static let numericError = Self(rawValue: 1 << 5)
  /// WP: supervisor writes honour read-only pages.
  public static let writeProtect = Self(rawValue: 1 << 16)
  /// AM: EFLAGS.AC turns on alignment checks at CPL 3.
  public static let alignmentMask = Self(rawValue: 1 << 18)
  /// NW: not write-through; without CD it raises #GP.
  public static let notWriteThrough = Self(rawValue: 1 << 29)
  /// CD: caches off.
  public static let cacheDisable = Self(rawValue: 1 << 30)
  /// PG: paging.
  public static let paging = Self(rawValue: 1 << 31)
}

/// CR4 (SDM vol. 3, 2.5 "Control Registers").
public struct CR4: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// VME: virtual-8086 mode extensions.
  public static let virtual8086Extensions = Self(rawValue: 1 << 0)
  /// PVI: protected-mode virtual interrupts.
  public static let protectedVirtualInterrupts = Self(rawValue: 1 << 1)
  /// TSD: RDTSC only at CPL 0.
  public static let timeStampDisable = Self(rawValue: 1 << 2)
  /// DE: debugging extensions.
  public static let debuggingExtensions = Self(rawValue: 1 << 3)
  /// PSE: 4 MiB pages with 32-bit paging.
  public static let pageSizeExtensions = Self(rawValue: 1 << 4)
  /// PAE: 8-byte page-table entries.
  public static let physicalAddressExtension = Self(rawValue: 1 << 5)
  /// MCE: machine checks raise #MC.
  public static let machineCheckEnable = Self(rawValue: 1 << 6)
  /// PGE: global pages.
  public static let pageGlobalEnable = Self(rawValue: 1 << 7)
  /// PCE: RDPMC at any CPL.
  public static let performanceCounterEnable = Self(rawValue: 1 << 8)
  /// OSFXSR: SSE instructions are allowed.
  public static let osFXSR = Self(rawValue: 1 << 9)
  /// OSXMMEXCPT: SSE exceptions raise #XM instead of #UD.
  public static let osXMMExceptions = Self(rawValue: 1 << 10)
  /// UMIP: SGDT, SIDT, SLDT, SMSW and STR only at CPL 0.
  public static let userModeInstructionPrevention = Self(rawValue: 1 << 11)
  /// LA57: five-level paging.
  public static let linearAddress57 = Self(rawValue: 1 << 12)
  /// VMXE: VMX operation is allowed.
  public static let vmxEnable = Self(rawValue: 1 << 13)
  /// SMXE: SMX operation is allowed.
  public static let smxEnable = Self(rawValue: 1 << 14)
  /// FSGSBASE: RDFSBASE and its kin are allowed.
  public static let fsgsBase = Self(rawValue: 1 << 16)
  /// PCIDE: process-context identifiers.
  public static let processContextIdentifiers = Self(rawValue: 1 << 17)
  /// OSXSAVE: XSAVE, XGETBV and AVX are allowed.
  public static let osXSAVE = Self(rawValue: 1 << 18)
  /// SMEP: the supervisor may not execute user pages.
  public static let supervisorExecutionPrevention = Self(rawValue: 1 << 20)
  /// SMAP: the supervisor may not access user pages unless EFLAGS.AC is set.
  public static let supervisorAccessPrevention = Self(rawValue: 1 << 21)
  /// PKE: protection keys of user pages.
  public static let protectionKeys = Self(rawValue: 1 << 22)
  /// CET: control-flow enforcement.
  public static let controlFlowEnforcement = Self(rawValue: 1 << 23)
  /// PKS: protection keys of supervisor pages.
  public static let supervisorProtectionKeys = Self(rawValue: 1 << 24)
}

/// The extended feature enable register, MSR 0xC0000080 (SDM vol. 3, 2.2.1; APM vol. 2, 3.1.7).
public struct EFER: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// SCE: SYSCALL and SYSRET are allowed.
  public static let syscallEnable = Self(rawValue: 1 << 0)
  /// LME: long mode begins when paging is turned on.
  public static let longModeEnable = Self(rawValue: 1 << 8)
  /// LMA: long mode is active.
  public static let longModeActive = Self(rawValue: 1 << 10)
  /// NXE: bit 63 of a page-table entry is execute-disable instead of reserved.
  public static let executeDisableEnable = Self(rawValue: 1 << 11)
  /// SVME: SVM instructions are allowed (AMD).
  public static let svmEnable = Self(rawValue: 1 << 12)
  /// LMSLE: long-mode segment limits (AMD).
  public static let longModeSegmentLimit = Self(rawValue: 1 << 13)
  /// FFXSR: fast FXSAVE (AMD).
  public static let fastFXSAVE = Self(rawValue: 1 << 14)
  /// TCE: translation-cache extension (AMD).
  public static let translationCacheExtension = Self(rawValue: 1 << 15)
  /// AutoIBRS (AMD).
  public static let automaticIBRS = Self(rawValue: 1 << 21)
}

/// RFLAGS (SDM vol. 1, 3.4.3).
public struct RFLAGS: OptionSet, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// CF.
  public static let carry = Self(rawValue: 1 << 0)
  /// PF.
  public static let parity = Self(rawValue: 1 << 2)
  /// AF.
  public static let adjust = Self(rawValue: 1 << 4)
  /// ZF.
  public static let zero = Self(rawValue: 1 << 6)
  /// SF.
  public static let sign = Self(rawValue: 1 << 7)
  /// TF: a #DB after each instruction.
  public static let trap = Self(rawValue: 1 << 8)
  /// IF: maskable interrupts are delivered.
  public static let interruptEnable = Self(rawValue: 1 << 9)
  /// DF.
  public static let direction = Self(rawValue: 1 << 10)
  /// OF.
  public static let overflow = Self(rawValue: 1 << 11)
  /// NT.
  public static let nestedTask = Self(rawValue: 1 << 14)
  /// RF.
  public static let resume = Self(rawValue: 1 << 16)
  /// VM: virtual-8086 mode.
  public static let virtual8086Mode = Self(rawValue: 1 << 17)
  /// AC: alignment checks at CPL 3, and explicit supervisor access past SMAP.
  public static let alignmentCheck = Self(rawValue: 1 << 18)

  /// IOPL, 0 to 3.
  public var ioPrivilegeLevel: Int { Int(rawValue >> 12 & 3) }
}
