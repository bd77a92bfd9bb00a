import Testing
import X86

/// What a VM entry refuses of a guest's state.
@Suite("guest-state rules of a VM entry")
struct GuestStateCheckTests {
  private static func segment(_ selector: UInt16, _ attributes: UInt32, limit: UInt32 = .max) -> Segment {
    Segment(
      selector: SegmentSelector(rawValue: selector), base: 0, limit: limit,
      attributes: SegmentAttributes(rawValue: attributes))
  }

  /// 64-bit code as a kernel runs it.
  private static var long: GuestEntryState {
    var state = GuestEntryState()
    state.cr0 = [.protectionEnable, .paging, .writeProtect, .extensionType, .numericError]
    state.cr4 = [.physicalAddressExtension, .pageGlobalEnable]
    state.efer = [.longModeEnable, .longModeActive, .executeDisableEnable]
    state.isIA32eModeGuest = true
    state.cr3 = 0x1000
    state.rip = 0xFFFF_FFFF_8000_0000
    state.rflags = RFLAGS(rawValue: 0x202)
    state.dr7 = 0x400
    state.segments = [
      .cs: segment(0x10, 0xa0_9b00), .ss: segment(0x18, 0xc0_9300), .ds: segment(0, 0), .es: segment(0, 0),
      .fs: segment(0, 0), .gs: segment(0, 0), .ldtr: segment(0, 0), .tr: segment(0x40, 0x8b00, limit: 0x67),
    ]
    state.gdtr = EntryTable(base: 0xFFFF_8800_0000_0000, limit: 0x7F)
    state.idtr = EntryTable(base: 0xFFFF_FFFF_FF52_9000, limit: 0xFFF)
    return state
  }

  private static var reset: GuestEntryState {
    var state = GuestEntryState()
    state.cr0 = CR0(rawValue: 0x6000_0010)
    (state.cr3, state.cr4, state.efer, state.rip) = (0, [], [], 0xFFF0)
    state.isIA32eModeGuest = false
    state.rflags = RFLAGS(rawValue: 2)
    for name in [EntrySegment.ss, .ds, .es, .fs, .gs] { state.segments[name] = segment(0, 0x9300, limit: 0xFFFF) }
    state.segments[.cs] = segment(0xF000, 0x9b00, limit: 0xFFFF)
    state.segments[.ldtr] = segment(0, 0x8200, limit: 0xFFFF)
    state.segments[.tr] = segment(0, 0x8b00, limit: 0xFFFF)
    state.gdtr = EntryTable(base: 0, limit: 0xFFFF)
    state.idtr = state.gdtr
    return state
  }

  @Test("legal states break no rule")
  func legal() {
    #expect(Self.long.vmxViolations.isEmpty, "\(Self.long.vmxViolations)")
    #expect(Self.reset.vmxViolations.isEmpty, "\(Self.reset.vmxViolations)")
    #expect(Self.long.svmViolations.isEmpty)
    #expect(Self.reset.svmViolations.isEmpty)
    #expect(GuestEntryState().vmxViolations.isEmpty)
    #expect(GuestEntryState().svmViolations.isEmpty)
  }

  private static let changes: [(String, words: String, @Sendable (inout GuestEntryState) -> Void)] = [
    ("PG without PE", "CR0.PG is 1 with CR0.PE 0", { $0.cr0?.remove(.protectionEnable) }),
    ("long mode without PAE", "CR4.PAE is 0", { $0.cr4?.remove(.physicalAddressExtension) }),
    ("LME without LMA", "EFER.LME and EFER.LMA differ", { $0.efer?.remove(.longModeEnable) }),
    ("LMA against the control", "IA-32e mode guest", { $0.isIA32eModeGuest = false }),
    ("a RIP that is not canonical", "RIP 0x8000000000000000 is not canonical", { $0.rip = 1 << 63 }),
    ("bit 1 of RFLAGS", "RFLAGS bit 1", { $0.rflags = [] }),
    ("reserved flags", "reserved bits", { $0.rflags = RFLAGS(rawValue: 0x8002) }),
    ("VM in long mode", "RFLAGS.VM", { $0.rflags?.insert(.virtual8086Mode) }),
    ("L and D", "both L and D", { $0.segments[.cs]?.attributes.insert(.big) }),
    ("CS of data", "CS has the type 2", { $0.segments[.cs]?.attributes = SegmentAttributes(rawValue: 0xa0_9200) }),
    ("DPL", "CS has DPL 0 and SS DPL 3", { $0.segments[.ss] = segment(0x1B, 0xc0_f300) }),
    ("an SS of code", "SS has the type 11", { $0.segments[.ss] = segment(0x18, 0xc0_9b00) }),
    ("a DS that was not accessed", "DS has the type 2", { $0.segments[.ds] = segment(0x18, 0xc0_9200) }),
    ("a limit against G", "with G 0", { $0.segments[.ds] = segment(0x18, 0x40_9300) }),
    ("a TSS that is not busy", "TR has the type 9", { $0.segments[.tr] = segment(0x40, 0x8900, limit: 0x67) }),
    ("no TSS", "TR is not present", { $0.segments[.tr]?.attributes = SegmentAttributes(rawValue: 0x0b00) }),
    ("a base of GS", "GS has a base", { $0.segments[.gs]?.base = 1 << 60 }),
    ("a GDT", "GDTR has a base", { $0.gdtr?.base = 1 << 60 }),
    ("an IDT", "IDTR has a limit", { $0.idtr?.limit = 0x1_0000 }),
    ("DR7", "DR7", { $0.dr7 = 1 << 32 }),
    ("activity", "activity state is 4", { $0.activity = 4 }),
    (
      "STI with IF clear", "blocked by STI",
      {
        $0.interruptibility = 1
        $0.rflags = RFLAGS(rawValue: 2)
      }
    ),
    (
      "an interrupt with IF clear", "external interrupt is to be injected",
      {
        $0.event = 0x8000_0020
        $0.rflags = RFLAGS(rawValue: 2)
      }
    ),
  ]

  @Test("each rule is named")
  func broken() {
    for (what, words, change) in Self.changes {
      var state = Self.long
      change(&state)
      #expect(state.vmxViolations.contains { $0.words.contains(words) }, "\(what): \(state.vmxViolations)")
    }
  }

  @Test("what a reset leaves over")
  func resetLeftOver() {
    var state = Self.reset
    state.cr4 = [.processContextIdentifiers, .vmxEnable]
    #expect(
      state.vmxViolations.map(\.words) == ["CR4.PCIDE (bit 17) is 1, but the guest is not in IA-32e mode (EFER.LMA 0)"])
    state = Self.reset
    state.rip = 0xFFFF_FFFF_8123_4567
    #expect(state.vmxViolations.count == 1)
    #expect(state.vmxViolations.first?.words.contains("bits 63:32 must be 0") == true)
  }

  @Test("SVM's rules")
  func svm() {
    func violations(_ change: (inout GuestEntryState) -> Void) -> [String] {
      var state = Self.long
      change(&state)
      return state.svmViolations.map(\.words)
    }
    #expect(violations { $0.cr0?.insert(.notWriteThrough) } == ["CR0.NW is 1 with CR0.CD 0"])
    #expect(violations { $0.cr4?.remove(.physicalAddressExtension) } == ["EFER.LME and CR0.PG are 1 with CR4.PAE 0"])
    #expect(violations { $0.segments[.cs]?.attributes.insert(.big) }.first?.contains("both L and D") == true)
    #expect(violations { $0.asid = 0 } == ["the ASID is 0"])
    #expect(violations { $0.event = 0x8000_0103 }.first?.contains("reserved type 1") == true)
    #expect(violations { $0.event = 0x8000_0302 }.first?.contains("vector 2") == true)
  }
}
