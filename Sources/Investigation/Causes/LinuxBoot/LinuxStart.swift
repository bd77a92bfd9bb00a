import QEMU
import X86

/// A guest that ended, or got nowhere, in the first code of a Linux kernel: from where the loader jumps to, at 1 MiB, until the kernel
/// proper runs at its linked addresses.
struct LinuxStart {
  let header: LinuxSetupHeader
  /// The file that `-kernel` names; nil where only the header in memory is known.
  let file: LinuxKernelFile?
  let source: Source
  let scene: Scene
  /// Those that were started; none where KVM has reset them all.
  let processors: [ObservedProcessor]

  private static let loadAddress: UInt64 = 0x10_0000

  /// Nil where there is no such kernel, where a processor was elsewhere, and where other firmware than QEMU's own was given: the kernel's EFI stub
  /// looks for another place.
  init?(_ scene: Scene) {
    guard let (header, file, source) = Self.kernel(of: scene), !scene.processors.isEmpty,
      scene.commandLine?.has("bios") != true, scene.commandLine?.has("pflash") != true
    else { return nil }
    (self.header, self.file, self.source, self.scene) = (header, file, source, scene)
    processors = scene.processors.filter { !ResetObservations.isReset($0.state) }
    guard processors.allSatisfy(Self.isThere) else { return nil }
  }

  /// PAGE_OFFSET of a kernel of 32 bits with VMSPLIT_1G (arch/x86/Kconfig, 6.1); others are linked to run higher.
  private static let leastLinkedAddress: UInt64 = 0x4000_0000

  /// Linear addresses are physical ones there, and the kernel proper runs above. A program of the user may have
  /// such an address, too, and SeaBIOS, which has its GDT in the ROM, begins at the end of memory.
  private static func isThere(_ processor: ObservedProcessor) -> Bool {
    let state = processor.state
    let isFirmware = processor.knowsTables && (0xC_0000..<loadAddress).contains(state.gdtr.base.rawValue)
    return state.cr0.contains(.protectionEnable) && state.currentPrivilegeLevel != 3 && !isFirmware
      && (loadAddress..<leastLinkedAddress).contains(state.instructionAddress.rawValue)
  }

  /// Where QEMU's loader leaves the setup code, by the kernel's age (hw/i386/x86.c: x86_load_linux, 7.2).
  private static let setupAddresses: [UInt64] = [0x1_0000, 0x9_0000]

  private static func kernel(of scene: Scene) -> (LinuxSetupHeader, LinuxKernelFile?, Source)? {
    if let file = scene.kernelFile { return (file.value.header, file.value, file.source) }
    guard let memory = scene.memory else { return nil }
    let header = setupAddresses.lazy.compactMap { address in
      (try? memory.bytes(at: PhysicalAddress(address), count: LinuxSetupHeader.size)).flatMap(LinuxSetupHeader.init)
    }.first
    return header.map { ($0, nil, .guestMemory) }
  }

  /// What is wrong with how the kernel was loaded; nil if nothing is known to be.
  var cause: (any JudgedCause)? { KernelCutShort(self) ?? KernelWithoutRoom(self) }
}
