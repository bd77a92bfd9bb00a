/// A guest's state as a processor loads it at a VM entry, as far as a source shows it.
///
/// A VMCS or VMCB dump in the host's log shows what was loaded; QEMU's registers show what KVM was to load.
public struct GuestEntryState: Hashable, Sendable {
  public var cr0: CR0?
  public var cr3: UInt64?
  public var cr4: CR4?
  public var efer: EFER?
  public var rflags: RFLAGS?
  public var rip: UInt64?
  public var dr7: UInt64?
  /// The segment registers that are shown. One that is unusable has P clear.
  public var segments: [EntrySegment: Segment]
  public var gdtr: EntryTable?
  public var idtr: EntryTable?
  /// The VM-entry control "IA-32e mode guest", or EFER.LMA where no control is shown.
  public var isIA32eModeGuest: Bool?
  /// The VM-execution control "unrestricted guest"; nil where it is not shown.
  public var isUnrestricted: Bool?
  /// Intel's interruptibility state (SDM vol. 3, table 24-3).
  public var interruptibility: UInt32?
  /// Intel's activity state: 0 active, 1 HLT, 2 shutdown, 3 wait for SIPI.
  public var activity: UInt32?
  /// The event to be injected: the VM-entry interruption information, or EVENTINJ.
  public var event: UInt32?
  /// AMD's ASID.
  public var asid: UInt32?

  public init() { segments = [:] }

  /// What QEMU's registers show of it.
  public init(_ state: ProcessorState) {
    self.init()
    cr0 = state.cr0
    cr3 = state.cr3
    cr4 = state.cr4
    efer = state.efer
    rflags = state.rflags
    rip = state.rip
    segments = [
      .cs: state.cs, .ss: state.ss, .ds: state.ds, .es: state.es, .fs: state.fs, .gs: state.gs, .ldtr: state.ldtr,
      .tr: state.tr,
    ]
    gdtr = EntryTable(base: state.gdtr.base.rawValue, limit: UInt32(state.gdtr.limit))
    idtr = EntryTable(base: state.idtr.base.rawValue, limit: UInt32(state.idtr.limit))
    isIA32eModeGuest = state.efer.map { $0.contains(.longModeActive) }
  }
}

/// The segment registers that a VM entry loads, in the order of Intel's encoding.
public enum EntrySegment: String, Hashable, Sendable, CaseIterable {
  case es = "ES"
  case cs = "CS"
  case ss = "SS"
  case ds = "DS"
  case fs = "FS"
  case gs = "GS"
  case ldtr = "LDTR"
  case tr = "TR"
}

/// GDTR or IDTR as a VM entry loads it: the limit has 32 bits there.
public struct EntryTable: Hashable, Sendable {
  public var base: UInt64
  public var limit: UInt32

  public init(base: UInt64, limit: UInt32) { (self.base, self.limit) = (base, limit) }
}

/// A rule for a guest's state that a VM entry checks, and that the state breaks.
public struct GuestStateViolation: Hashable, Sendable {
  /// What is wrong, with the values, such as `CR4.PCIDE is 1, but the guest is not in IA-32e mode`.
  public var words: String
  /// Where the rule stands, such as `SDM vol. 3, 26.3.1.1`.
  public var rule: String

  public init(_ words: String, rule: String) { (self.words, self.rule) = (words, rule) }
}
