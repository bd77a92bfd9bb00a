/// The registers of one virtual processor that decide what it does next.
///
/// A source that does not show a register leaves it nil; nothing here is a guess.
public struct ProcessorState: Hashable, Sendable {
  public var generalPurpose: GeneralPurposeRegisters
  public var rip: UInt64
  public var rflags: RFLAGS
  public var es: Segment
  public var cs: Segment
  public var ss: Segment
  public var ds: Segment
  public var fs: Segment
  public var gs: Segment
  public var ldtr: Segment
  public var tr: Segment
  public var gdtr: DescriptorTableRegister
  public var idtr: DescriptorTableRegister
  public var cr0: CR0
  public var cr2: UInt64
  public var cr3: UInt64
  public var cr4: CR4
  /// Nil where the source has no EFER (an ELF core of `dump-guest-memory`).
  public var efer: EFER?
  /// Nil where the source does not say.
  public var currentPrivilegeLevel: Int?
  /// Whether the processor is in system-management mode; nil where the source does not say.
  public var isInSMM: Bool?
  /// Whether the processor waits in HLT; nil where the source does not say.
  public var isHalted: Bool?
  /// Whether address line 20 is masked, so that bit 20 of each physical address is 0; nil where the source does not say.
  public var isAddressLine20Masked: Bool?
  /// DR0 to DR3, DR6 and DR7; nil where the source does not show them all.
  public var debug: DebugRegisters?

  public init(
    generalPurpose: GeneralPurposeRegisters, rip: UInt64, rflags: RFLAGS,
    es: Segment, cs: Segment, ss: Segment, ds: Segment, fs: Segment, gs: Segment, ldtr: Segment, tr: Segment,
    gdtr: DescriptorTableRegister, idtr: DescriptorTableRegister,
    cr0: CR0, cr2: UInt64, cr3: UInt64, cr4: CR4, efer: EFER?,
    currentPrivilegeLevel: Int? = nil, isInSMM: Bool? = nil, isHalted: Bool? = nil,
    isAddressLine20Masked: Bool? = nil, debug: DebugRegisters? = nil
  ) {
    self.generalPurpose = generalPurpose
    self.rip = rip
    self.rflags = rflags
    self.es = es
    self.cs = cs
    self.ss = ss
    self.ds = ds
    self.fs = fs
    self.gs = gs
    self.ldtr = ldtr
    self.tr = tr
    self.gdtr = gdtr
    self.idtr = idtr
    self.cr0 = cr0
    self.cr2 = cr2
    self.cr3 = cr3
    self.cr4 = cr4
    self.efer = efer
    self.currentPrivilegeLevel = currentPrivilegeLevel
    self.isInSMM = isInSMM
    self.isHalted = isHalted
    self.isAddressLine20Masked = isAddressLine20Masked
    self.debug = debug
  }
}

/// RAX to R15, in the order of their encoding.
public struct GeneralPurposeRegisters: Hashable, Sendable {
  public var rax: UInt64 = 0
  public var rcx: UInt64 = 0
  public var rdx: UInt64 = 0
  public var rbx: UInt64 = 0
  public var rsp: UInt64 = 0
  public var rbp: UInt64 = 0
  public var rsi: UInt64 = 0
  public var rdi: UInt64 = 0
  public var r8: UInt64 = 0
  public var r9: UInt64 = 0
  public var r10: UInt64 = 0
  public var r11: UInt64 = 0
  public var r12: UInt64 = 0
  public var r13: UInt64 = 0
  public var r14: UInt64 = 0
  public var r15: UInt64 = 0

  public init() {}
}

/// How the processor interprets code and addresses (SDM vol. 3, 2.2 "Modes of Operation").
public enum ProcessorMode: Hashable, Sendable {
  case real
  case virtual8086
  /// Protected mode with the operand size of its code segment, 16 or 32.
  case protected(bits: Int)
  /// Long mode running a 16- or 32-bit code segment.
  case compatibility(bits: Int)
  case long64
}

extension ProcessorState {
  /// The mode that CR0, EFER, RFLAGS and CS put the processor in.
  ///
  /// Where EFER is not known, long mode is inferred from a 64-bit code segment.
  public var mode: ProcessorMode {
    guard cr0.contains(.protectionEnable) else { return .real }
    let bits = cs.attributes.contains(.big) ? 32 : 16
    if isLongModeActive { return cs.attributes.contains(.long) ? .long64 : .compatibility(bits: bits) }
    return rflags.contains(.virtual8086Mode) ? .virtual8086 : .protected(bits: bits)
  }

  /// EFER.LMA, or what a 64-bit code segment under paging says of it where EFER is not known.
  public var isLongModeActive: Bool {
    if let efer { return efer.contains(.longModeActive) }
    return cr0.contains(.paging) && cr4.contains(.physicalAddressExtension) && cs.attributes.contains(.long)
  }

  /// The linear address of the next instruction: CS.base + RIP, 32 bits wide outside 64-bit mode.
  public var instructionAddress: LinearAddress {
    if mode == .long64 { return LinearAddress(rip) }
    return LinearAddress((cs.base &+ rip) & 0xFFFF_FFFF)
  }

  /// The linear address of the top of the stack: SS.base plus SP, ESP or RSP. SS.B decides in every mode, also in real mode where it is
  /// left from protected mode (SDM vol. 3, 3.4.5).
  public var stackAddress: UInt64 {
    if mode == .long64 { return generalPurpose.rsp }
    let isBig = ss.attributes.contains(.big)
    let offset = generalPurpose.rsp & (isBig ? 0xFFFF_FFFF : 0xFFFF)
    return (ss.base &+ offset) & 0xFFFF_FFFF
  }
}
