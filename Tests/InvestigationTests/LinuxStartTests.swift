import GuestMemory
import Investigation
import QEMU
import Testing
import X86

@Suite("boot.kernel-without-room, boot.kernel-cut-short")
struct LinuxStartTests {
  /// A guest of 64 MiB that was stopped in the first code of a kernel that needs 96.
  private func cause(
    megabytes size: Int = 64, options: [String] = [], file: LinuxKernelFile? = LinuxStartTests.file(),
    memory: (any PhysicalMemory)? = nil, _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> Cause? {
    var state = Story.state(rip: 0x10_0022, efer: [])
    state.cr0 = [.extensionType, .protectionEnable]
    state.gdtr.base = LinearAddress(0x1_0100)
    change(&state)
    var scene = Scene(ending: .timedOut)
    scene.commandLine = QEMUCommandLine(program: "qemu-system-x86_64", arguments: ["-m", "\(size)"] + options)
    scene.memory = memory
    scene.processors = [Story.processor(state)]
    scene.kernelFile = file.map { Sourced($0, .image("bzImage")) }
    return Investigator.verdict(on: scene).cause
  }

  private static func file(size: UInt64 = 9 << 20) -> LinuxKernelFile {
    LinuxKernelFile(
      header: LinuxSetupHeader(
        version: 0x20F, setupSize: 20480, protectedModeSize: 8 << 20, isOf64Bits: true,
        runningPlace: .init(start: 16 << 20, size: 80 << 20)),
      size: size)
  }

  @Test("too little memory is likely; proven where a register leads to where there is none")
  func withoutRoom() {
    #expect(cause()?.id == "boot.kernel-without-room")
    #expect(cause()?.confidence == .likely)
    #expect(cause { $0.generalPurpose.rsp = 0x5F0_0000 }?.confidence == .proven)
    #expect(cause { $0.rip = 0x700_0000 }?.confidence == .proven)
  }

  @Test("a file that is cut short comes first")
  func cutShort() {
    #expect(cause(file: Self.file(size: 8 << 20))?.id == "boot.kernel-cut-short")
    #expect(cause(megabytes: 512, file: Self.file(size: 8 << 20))?.id == "boot.kernel-cut-short")
    #expect(cause(file: Self.file(size: 8 << 20))?.confidence == .likely)
  }

  @Test("the header in memory does where the file is not known")
  func inMemory() {
    var memory = SparseMemory()
    memory.insert(page: [UInt8](repeating: 0, count: 4096), at: PhysicalAddress(0x1_0000))
    for (offset, bytes) in [
      0x1FE: [0x55, 0xAA], 0x202: Array("HdrS".utf8) + [0x0F, 0x02], 0x211: [1], 0x232: [0x20, 0, 1],
      0x25B: [1], 0x263: [5],
    ] as [UInt64: [UInt8]] { memory.store(bytes, at: 0x1_0000 + offset) }
    #expect(cause(file: nil, memory: memory)?.id == "boot.kernel-without-room")
    #expect(cause(megabytes: 128, file: nil, memory: memory)?.id != "boot.kernel-without-room")
  }

  @Test("not said where there is memory enough, of a program, of firmware, of the kernel proper, of an EFI stub")
  func others() {
    let id = "boot.kernel-without-room"
    #expect(cause(megabytes: 96)?.id != id)
    #expect(cause { $0.currentPrivilegeLevel = 3 }?.id != id)
    #expect(cause { $0.gdtr.base = LinearAddress(0xF_6080) }?.id != id)
    #expect(cause { $0.rip = 0xFFFF_FFFF_8100_0000 }?.id != id)
    #expect(cause { $0.rip = 0xC100_0000 }?.id != id)
    #expect(cause { $0.cr0 = [.extensionType] }?.id != id)
    #expect(cause(options: ["-bios", "OVMF.fd"])?.id != id)
    #expect(cause(file: nil)?.id != id)
  }

  @Test("where nothing reports the end, the cause is not said to be unknown")
  func silent() {
    var state = Story.state(rip: 0x10_0022, efer: [])
    state.cr0 = [.extensionType, .protectionEnable]
    state.gdtr.base = LinearAddress(0x1_0100)
    var scene = Scene()
    scene.commandLine = QEMUCommandLine(program: "qemu-system-x86_64", arguments: ["-m", "64"])
    scene.processors = [Story.processor(state)]
    scene.kernelFile = Sourced(Self.file(), .image("bzImage"))
    let verdict = Investigator.verdict(on: scene)
    #expect(verdict.cause?.id == "boot.kernel-without-room" && verdict.outcome == .undetermined)
    #expect(!verdict.ending.contains("Nothing here shows"))
    scene.kernelFile = nil
    #expect(Investigator.verdict(on: scene).ending == "Nothing here shows how the guest ended.")
  }
}
