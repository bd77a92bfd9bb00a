import QEMU
import Testing
import X86

@testable import Capture

/// A real QEMU under TCG that Inquest did not start.
@Suite(.serialized) struct LiveGuestTests {
  @Test(arguments: [
    ["-m", "64", "-object", "memory-backend-memfd,id=m0,size=64M,share=on", "-machine", "pc,memory-backend=m0"],
    ["-m", "64"],
  ]) func `a guest that runs is read and left as it was`(options: [String]) throws {
    try BootSector.hang.withFile { file in
      let qemu = try RunningQEMU(["-drive", "if=floppy,format=raw,readonly=on,file=\(file)", "-boot", "a"] + options)
      let guest = try LiveGuest(qmp: qemu.qmp)
      #expect(guest.identity.usesKVM == false)
      #expect(try guest.runState() == .running)
      try guest.freeze()
      #expect(try guest.runState() == .paused)
      let scene = try guest.scene()
      #expect(scene.processors.count == 1)
      #expect(scene.memory.isShared == options.contains("pc,memory-backend=m0"))
      // The reset vector in ROM: a far jump.
      #expect(try scene.memory.loadUInt32(at: PhysicalAddress(0xFFFF_FFF0)) & 0xFF == 0xEA)
      guest.thaw()
      #expect(try guest.runState() == .running)
    }
  }
}
