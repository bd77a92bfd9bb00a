import Investigation
import Testing
import X86

@Suite("What the addresses in registers prove")
struct AddressObservationTests {
  private static let states: [(what: String, words: String, change: @Sendable (inout ProcessorState) -> Void)] = [
    ("a page fault at the IDT", "is the base of the IDT", { $0.cr2 = $0.idtr.base.rawValue }),
    ("SMM", "system-management mode", { $0.isInSMM = true }),
    ("real mode in the VGA window", "VGA window (A0000-BFFFF)", { realMode(&$0, rip: 0x10, base: 0xA_0000) }),
    ("real mode in the BIOS", "the place of the BIOS", { realMode(&$0, rip: 0x10, base: 0xF_0000) }),
    ("a 64-bit RIP in real mode", "wider than 32 bits", { realMode(&$0, rip: 0xFFFF_FFFF_8100_0000, base: 0) }),
    (
      "a stack in the VGA window", "The stack, at physical 0xa0010",
      {
        realMode(&$0, rip: 0x7C00, base: 0)
        $0.ss.base = 0xA_0000
        $0.generalPurpose.rsp = 0x10
      }
    ),
    (
      "protected mode's segments in real mode", "left over from protected mode", { realMode(&$0, rip: 0x7C00, base: 0) }
    ),
    (
      "big real mode", "big real mode",
      {
        realMode(&$0, rip: 0x10, base: 0x1_0000)
        $0.cs.selector = SegmentSelector(rawValue: 0x1000)
      }
    ),
    (
      "real mode's CS in protected mode", "a SIPI of vector 0x8 starts",
      {
        $0.cr0 = .protectionEnable
        $0.efer = []
        $0.cs = Segment(
          selector: SegmentSelector(rawValue: 0x800), base: 0x8000, limit: 0xFFFF,
          attributes: SegmentAttributes(rawValue: 0x9b00))
      }
    ),
    ("a code segment with L and D", "both L and D set", { $0.cs.attributes.insert(.long) }),
    ("L in a data segment", "bit 21 (L of a code segment)", { $0.ds.attributes.insert(.long) }),
    ("a GDT of no form", "no software loads such a table", { $0.gdtr.limit = 0x1234 }),
    ("a GDT that was measured wrongly", "The limit of the GDT is 0x19, not 8 times", { $0.gdtr.limit = 0x19 }),
    ("a poisoned pointer", "Linux's poison of freed objects", { $0.generalPurpose.rsi = 0x6B6B_6B6B_6B6B_6B6B }),
    (
      "a pointer of real mode's vectors", "RIP and RAX hold F000:FF53",
      {
        ($0.rip, $0.generalPurpose.rax) = (0xF000_FF53, 0xF000_FF53)
      }
    ),
    ("text in a pointer", "which is text: \"overflow\"", { $0.generalPurpose.rdi = 0x776F_6C66_7265_766F }),
    (
      "a processor that a SIPI has just started", "a SIPI of vector 0x99 starts",
      {
        realMode(&$0, rip: 0, base: 0x9_9000)
        $0.cs.selector = SegmentSelector(rawValue: 0x9900)
        $0.generalPurpose = GeneralPurposeRegisters()
      }
    ),
    (
      "neighbouring pages", "R14 (0x1fff5000) and R13 (0x1fff6000) are the addresses of two neighbouring pages",
      {
        $0.generalPurpose.r13 = 0x1FFF_6000
        $0.generalPurpose.r14 = 0x1FFF_5000
      }
    ),
    (
      "the BIOS's buffers", "RSI (0x1ff00000) is 1024 KiB below 512 MiB",
      {
        realMode(&$0, rip: 0x10, base: 0xF_0000)
        $0.generalPurpose.rsi = 0x1FF0_0000
      }
    ),
    ("CR2 in a register", "is what RBX holds", { $0.generalPurpose.rbx = $0.cr2 }),
    ("Linux", "text of a 64-bit Linux kernel", { kernel(&$0, at: 0xFFFF_FFFF_8123_4567) }),
    ("Windows", "a 64-bit Windows kernel", { kernel(&$0, at: 0xFFFF_F803_1234_5678) }),
    (
      "EDK2", "are those of EDK2",
      {
        $0.cs.selector = SegmentSelector(rawValue: 0x38)
        $0.ds.selector = SegmentSelector(rawValue: 0x30)
        $0.gdtr.limit = 0x47
      }
    ),
    (
      "a loop that leaves its table", "RBP is 520: an index past 511",
      {
        $0.generalPurpose.rbp = 520
        $0.generalPurpose.r9 = 520 << 30 | 0x83
      }
    ),
    (
      "reset with CR4 left over", "PCIDE), which a reset clears",
      {
        reset(&$0)
        $0.cr4 = .processContextIdentifiers
      }
    ),
    ("a reset's signature", "family 6, model 60, stepping 3", { reset(&$0) }),
    (
      "half-restored", "half-restored",
      {
        reset(&$0)
        $0.rip = 0x8123_4567
      }
    ),
  ]

  private static func kernel(_ state: inout ProcessorState, at rip: UInt64) {
    state.cs.attributes = SegmentAttributes(rawValue: 0xa0_9b00)
    state.cs.selector = SegmentSelector(rawValue: 0x10)
    state.rip = rip
  }

  private static func reset(_ state: inout ProcessorState) {
    realMode(&state, rip: 0xFFF0, base: 0xFFFF_0000)
    state.cs.selector = SegmentSelector(rawValue: 0xF000)
    state.gdtr = DescriptorTableRegister(base: LinearAddress(0), limit: 0xFFFF)
    state.idtr = state.gdtr
    (state.cr3, state.cr4) = (0, [])
    state.generalPurpose.rdx = 0x306c3
  }

  private static func realMode(_ state: inout ProcessorState, rip: UInt64, base: UInt64) {
    state.cr0 = []
    state.efer = []
    state.cs.base = base
    state.rip = rip
  }

  @Test("a fact is stated where the registers show it, and only there")
  func stated() {
    for (what, words, change) in Self.states {
      var state = Story.state()
      state.idtr.base = LinearAddress(0x5000)
      #expect(!observations(state).contains { $0.contains(words) }, "\(what)")
      change(&state)
      #expect(observations(state).contains { $0.contains(words) }, "\(what): \(observations(state))")
    }
  }

  private func observations(_ state: ProcessorState) -> [String] {
    var scene = Scene()
    scene.processors = [Story.processor(state)]
    return Investigator.verdict(on: scene).observations.map(\.text)
  }
}
