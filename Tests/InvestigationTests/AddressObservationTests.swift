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
  ]

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
