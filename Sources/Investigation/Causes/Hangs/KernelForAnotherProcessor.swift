import GuestImage
import QEMU
import X86

/// `boot.kernel-for-another-processor`: Linux's setup code has stopped, for the kernel is one of 64 bits and the processor lacks what that needs.
struct KernelForAnotherProcessor: CauseOfHang, SingleCause {
  static let id = "boot.kernel-for-another-processor"
  static let title = "The Linux kernel needs another processor"
  let confidence = Confidence.likely
  let evidence: [Evidence]
  private let missing: [ProcessorFeature]
  let remedies: [Remedy]

  /// The setup code runs in real mode with its first sector at the segment's beginning, once it has begun; where the processor does not do, it halts for ever
  /// (Linux 6.1 arch/x86/boot/header.S, main.c: main, die; Documentation/arch/x86/boot.rst).
  init?(_ hang: Hang) {
    guard hang.started.count == 1,
      let (processor, next) = hang.started.first,
      processor.state.mode == .real, processor.state.isHalted == true || next.instruction?.mnemonic == "hlt",
      let sector = try? hang.scene.memory?.bytes(
        at: PhysicalAddress(processor.state.cs.base), count: LinuxSetupHeader.size),
      let header = LinuxSetupHeader(sector), header.isOf64Bits
    else { return nil }
    let scene = hang.scene
    missing = Self.needed.filter { scene.decision(on: $0).isOn == false }
    guard let first = missing.first else { return nil }
    evidence = [
      Evidence(
        "Linux's setup header lies at \(processor.state.cs.base.hexadecimal): boot protocol \(header.version >> 8).\(header.version & 0xFF), and XLF_KERNEL_64 says that the kernel is one of 64 bits",
        .guestMemory)
    ]
    remedies = scene.remedies(
      offering: first, purpose: first.manualName,
      fallback: .guest(
        "boot a kernel that is made for the processor (one of 32 bits)", "A kernel of 64 bits needs them all."))
  }

  /// What every kernel of 64 bits needs (arch/x86/include/asm/required-features.h, 6.1), 64-bit mode first.
  private static let needed = ["lm", "pae", "fpu", "cx8", "cmov", "fxsr", "sse", "sse2"].flatMap {
    ProcessorFeature.named(inQEMU: $0)
  }

  var summary: String {
    "The setup code of a 64-bit Linux kernel has halted, in real mode, where it says that it cannot be booted. The guest's processor lacks "
      + "\(missing.map { "\($0.manualName) (\($0.name))" }.joined(separator: ", ")), which such a kernel needs."
  }

  static let manual = """
    A Linux kernel looks at CPUID in its first code, in real mode, and halts where the processor lacks what the kernel was built for. What it says then
    goes to the screen, for no other console works that early.

    ## How to recognise it

    Nothing on the serial console. The processor is halted in real mode, within 64 KiB above the first sector of the setup code (`HdrS` at 202H). On
    the VGA screen: `This kernel requires an x86-64 CPU, but only detected an i686 CPU`.

    ## Why

    `-cpu qemu32`, `486`, `pentium` or the like with a kernel of 64 bits, or a model with `-lm`, `-sse2`, `-pae`.

    ## The cure

    Another `-cpu`, or a kernel of 32 bits.

    Linux arch/x86/boot/cpu.c, cpucheck.c; Documentation/arch/x86/boot.rst.
    """
}
