import GuestMemory
import Investigation
import QEMU
import Testing
import X86

/// Internal errors of suberror 1: what KVM could not emulate, and what it could not even fetch.
@Suite("failed emulation")
struct FailedEmulationTests {
  private func scene(_ bytes: [UInt8], _ change: (inout SmallGuest) -> Void) -> Scene {
    var guest = SmallGuest()
    guest.accelerator = .kvm
    guest.memory.store(bytes, at: 0x10_0000)
    change(&guest)
    var scene = guest.scene
    scene.log = [
      Sourced(.kvmInternalError(KVMInternalError(suberror: 1, saysEmulationFailure: true)), .log(name: "log", line: 1))
    ]
    return scene
  }

  @Test(
    "an instruction that the emulator does not know, at a device or at a place that is not known",
    arguments: [true, false])
  func unsupported(_ isDevice: Bool) {
    let scene = scene([0x0F, 0x58, 0x00]) { guest in  // addps xmm0, [rax]
      guest.state.generalPurpose.rax = 0x20_0000
      if isDevice { guest.memory.insert(hole: .device, at: PhysicalAddress(0x20_0000)) }
    }
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == "emulation.unsupported-instruction")
    #expect(cause?.confidence == (isDevice ? .proven : .likely))
    #expect(cause?.summary.contains("`addps xmm0, [rax]`") == true)
    #expect(cause?.summary.contains("physical 0x200000") == isDevice)
  }

  @Test("an instruction without an operand in memory, which is emulated only where everything is")
  func endbranch() {
    let cause = Investigator.verdict(on: scene([0xF3, 0x0F, 0x1E, 0xFA]) { _ in }).cause
    #expect(cause?.id == "emulation.unsupported-instruction" && cause?.confidence == .possible)
  }

  @Test(
    "what the emulator knows is not blamed",
    arguments: [[0x48, 0x89, 0x08], [0x0F, 0x11, 0x00], [0xF3, 0xA4], [0xDB, 0xE3]] as [[UInt8]])
  func supported(_ bytes: [UInt8]) {
    #expect(Investigator.verdict(on: scene(bytes) { $0.state.generalPurpose.rax = 0x20_0000 }).cause == nil)
  }

  @Test("RIP in a device, known from the memory or by the VGA's place", arguments: [true, false])
  func outside(_ isKnown: Bool) {
    var scene = scene([]) { guest in
      guest.state.rip = isKnown ? 0x20_0000 : 0xB_0000
      if isKnown { guest.memory.insert(hole: .device, at: PhysicalAddress(0x20_0000)) }
    }
    if !isKnown { scene.memory = nil }
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == "execution.outside-ram")
    #expect(cause?.confidence == (isKnown ? .proven : .likely))
  }
}
