import GuestMemory
import Investigation
import QEMU
import Testing
import X86

@Suite("boot.kernel-for-another-processor")
struct KernelForAnotherProcessorTests {
  /// A processor halted in the setup code of a Linux kernel at 10000H.
  private func cause(
    version: UInt16 = 0x20F, flags: UInt8 = 0x7F, signature: String = "HdrS", hasLongMode: Bool? = false,
    _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> Cause? {
    var memory = SparseMemory()
    memory.insert(page: [UInt8](repeating: 0x90, count: 4096), at: PhysicalAddress(0x1_0000))
    memory.store([0x55, 0xAA], at: 0x1_01FE)
    memory.store(Array(signature.utf8), at: 0x1_0202)
    memory.store([UInt8(version & 0xFF), UInt8(version >> 8)], at: 0x1_0206)
    memory.store([flags], at: 0x1_0236)
    memory.store([0xF4, 0xEB, 0xFD], at: 0x1_02D1)  // hlt; jmp
    var state = Story.state(rip: 0x2D2, efer: [])
    state.cr0 = [.extensionType]
    state.cs = Segment(
      selector: SegmentSelector(rawValue: 0x1000), base: 0x1_0000, limit: 0xFFFF,
      attributes: SegmentAttributes(rawValue: 0x9B00))
    state.isHalted = true
    change(&state)
    var scene = Scene(ending: .timedOut)
    scene.memory = memory
    scene.accelerator = Sourced(.tcg, .commandLine)
    scene.processors = [Story.processor(state)]
    scene.guestFeatures = hasLongMode.map { Sourced([.lm: $0], .qmp("feature-words")) }
    return Investigator.verdict(on: scene).cause
  }

  @Test("setup code of a 64-bit kernel that halted, on a processor without 64-bit mode")
  func refused() {
    let cause = cause()
    #expect(cause?.id == "boot.kernel-for-another-processor")
    #expect(cause?.confidence == .likely)
    #expect(cause?.summary.contains("(lm)") == true)
  }

  @Test("not said of a kernel of 32 bits, of other code, of a processor that has all, or of one that runs")
  func others() {
    let id = "boot.kernel-for-another-processor"
    #expect(cause(flags: 0x7E)?.id != id)
    #expect(cause(version: 0x20B)?.id != id)
    #expect(cause(signature: "HdrX")?.id != id)
    #expect(cause(hasLongMode: true)?.id != id)
    #expect(cause(hasLongMode: nil)?.id != id)
    #expect(cause { $0.isHalted = false }?.id != id)
    #expect(cause { $0.cs.base = 0x200 }?.id != id)
  }
}
