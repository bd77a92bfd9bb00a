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
    "bytes that KVM names as those it could not emulate, and that its emulator has no code for",
    arguments: [
      ([0x9B], "fwait"), ([0xF3, 0x48, 0x0F, 0x1E, 0xCE], "rdsspq rsi"), ([0xDF, 0xE0], "fnstsw ax"),
    ] as [([UInt8], String)])
  func reported(_ bytes: [UInt8], _ text: String) {
    var scene = scene(bytes) { _ in }
    #expect(Investigator.verdict(on: scene).cause?.confidence == .possible)
    var words = [UInt64](repeating: 0, count: 16)
    for (index, byte) in ([15] + bytes).enumerated() { words[index / 8] |= UInt64(byte) << (8 * (index % 8)) }
    let error = KVMInternalError(
      suberror: 1, extraData: [0: 1, 1: words[0], 2: words[1], 3: 0x1000, 4: 0, 5: 0, 6: 0, 7: 0],
      saysEmulationFailure: true)
    scene.log = [Sourced(.kvmInternalError(error), .log(name: "log", line: 1))]
    let cause = Investigator.verdict(on: scene).cause
    #expect(cause?.id == "emulation.unsupported-instruction" && cause?.confidence == .proven)
    #expect(cause?.summary.contains("`\(text)`") == true)
  }

  @Test(
    "what the emulator knows is not blamed",
    arguments: [[0x48, 0x89, 0x08], [0x0F, 0x11, 0x00], [0xF3, 0xA4], [0xDB, 0xE3], [0xD9, 0x38], [0xDD, 0x38]]
      as [[UInt8]])
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
