import GuestMemory
import Investigation
import QEMU
import Testing
import X86

/// A device's interrupt on a vector of the processor's own, told from what else ends a guest with the same registers.
@Suite("a tick that an exception's handler got")
struct InterruptTakenForExceptionTests {
  private static func first(_ inService: UInt8, mask: UInt8 = 0xFE, vector: UInt8 = 8) -> PICState {
    PICState(requests: 0, mask: mask, levelTriggered: 0, firstVector: vector, inService: inService)
  }

  /// What is said of a guest that is halted with interrupts off.
  ///
  /// - Parameter hasHandler: Whether vector 8 has one.
  private func cause(
    _ pic: PICState, early: PICState? = nil, hasHandler: Bool = true, change: (inout ProcessorState) -> Void = { _ in }
  ) -> Cause? {
    var guest = SmallGuest()
    guest.memory.store([0xF4], at: 0x10_0000)
    if !hasHandler { guest.setGate(8, 0) }
    guest.state.isHalted = true
    guest.state.rflags.remove(.interruptEnable)
    change(&guest.state)
    var scene = guest.scene
    scene.ending = .stalled
    scene.watched = (0..<9).map { look in
      WatchedMoment(processors: scene.processors, interruptControllers: [look < 6 ? early ?? pic : pic])
    }
    return Investigator.verdict(on: scene).cause
  }

  @Test("an 8259 with real mode's vectors has a line in service")
  func taken() {
    let found = cause(Self.first(0x01))
    #expect(found?.id == "interrupt.pic-not-remapped")
    #expect(found?.confidence == .likely)
    #expect(found?.summary.contains("IRQ 0 on vector 8") == true)
    // Firmware ran at the first looks.
    #expect(cause(Self.first(0x01), early: Self.first(0, mask: 0xB8))?.id == "interrupt.pic-not-remapped")
  }

  @Test("nothing in service, other vectors, no handler, or real mode: then the guest halted for another reason")
  func others() {
    #expect(cause(Self.first(0))?.id == "hang.interrupts-off")
    #expect(cause(Self.first(0x01, mask: 0xFF))?.id == "hang.interrupts-off")
    #expect(cause(Self.first(0x01, vector: 0x20))?.id == "hang.interrupts-off")
    #expect(cause(Self.first(0x01), hasHandler: false)?.id == "hang.interrupts-off")
    let real: (inout ProcessorState) -> Void = {
      ($0.cr0, $0.cr4, $0.efer) = ([], [], [])
      $0.cs = SmallGuest.segment(0, 0x9B00)
    }
    #expect(cause(Self.first(0x01), change: real)?.id != "interrupt.pic-not-remapped")
  }
}
