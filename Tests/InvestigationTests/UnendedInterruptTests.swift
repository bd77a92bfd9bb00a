import Investigation
import QEMU
import Testing
import X86

/// An interrupt that is never ended, told from those that are served.
@Suite("hang.interrupt-not-ended")
struct UnendedInterruptTests {
  private static let blocked = LocalAPICState(cpu: 0, inService: [0x30], requests: [0x30, 0x21])

  /// What is said of a guest in HLT that was looked at so many times, the last time with another state of its APIC if one is given.
  private func judge(
    looks: Int = 9, _ apic: LocalAPICState = blocked, last: LocalAPICState? = nil, interruptsOn: Bool = true
  ) -> (isSuspected: Bool, cause: String?) {
    var guest = SmallGuest()
    guest.memory.store([0xF4, 0xEB, 0xFD], at: 0x10_0000)
    guest.state.isHalted = true
    if interruptsOn { guest.state.rflags.insert(.interruptEnable) } else { guest.state.rflags.remove(.interruptEnable) }
    var scene = guest.scene
    scene.ending = .stalled
    scene.watched = (0..<looks).map { look in
      WatchedMoment(processors: scene.processors, localAPICs: [look == looks - 1 ? last ?? apic : apic])
    }
    return (Hang.isSuspected(scene.watched), Investigator.verdict(on: scene).cause?.id)
  }

  @Test("the same vector in service at each look, and one that waits for its end")
  func blocked() {
    let found = judge()
    #expect(found.isSuspected)
    #expect(found.cause == "hang.interrupt-not-ended")
  }

  @Test(
    "a guest that waits for an interrupt gets on where nothing holds it back",
    arguments: [
      LocalAPICState(cpu: 0, inService: [], requests: []), LocalAPICState(cpu: 0, inService: [0x30], requests: []),
      LocalAPICState(cpu: 0, inService: [0x30], requests: [0x40]),
      LocalAPICState(cpu: 1, inService: [0x30], requests: [0x30]),
    ])
  func waits(_ apic: LocalAPICState) {
    #expect(judge(apic) == (false, nil))
    // At one look of nine is enough.
    #expect(judge(last: apic) == (false, nil))
  }

  @Test("few looks tell nothing, and with interrupts off the APIC is not the reason")
  func others() {
    #expect(judge(looks: 3).cause == nil)
    #expect(judge(interruptsOn: false).cause == "hang.interrupts-off")
  }
}
