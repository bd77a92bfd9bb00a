import QEMU
import X86

/// `boot.kernel-cut-short`: the end of the kernel's file is missing, which is where its first code has the most of itself.
struct KernelCutShort: SingleCause, JudgedCause {
  static let id = "boot.kernel-cut-short"
  static let title = "The Linux kernel's file is cut short"
  /// The file is cut short; that the guest died of it, and not of something else on its way there, nothing proves.
  let confidence = Confidence.likely
  private let file: LinuxKernelFile
  private let source: Source

  init?(_ start: LinuxStart) {
    guard let file = start.file, file.isCutShort else { return nil }
    (self.file, source) = (file, start.source)
  }

  private var missing: UInt64 { file.header.leastFileSize - file.size }

  var summary: String {
    "The file that -kernel names has \(file.size) bytes. By its own setup header it must have \(file.header.leastFileSize) or more: the end, \(missing) bytes, is "
      + "missing. There lie the decompressor, its GDT and its data, behind the compressed kernel: the code at the beginning leads to zeroes, or to whatever was in memory."
  }

  var evidence: [Evidence] {
    [
      Evidence(
        "The setup header says \(file.header.setupSize) bytes of setup code (setup_sects) and \(file.header.protectedModeSize) of protected-mode code (syssize); the file has \(file.size) in all",
        source)
    ]
  }

  var remedies: [Remedy] {
    [
      .guest(
        "copy, download or build the kernel's file again: it must have \(file.header.leastFileSize) bytes or more",
        "QEMU loads what there is, and does not compare it with the header.")
    ]
  }

  static let manual = """
    A bzImage says in its setup header how long it is. Where the file is shorter, QEMU loads what there is and starts it. The decompressor, its GDT,
    its stack and its data lie at the end, behind the compressed kernel: the first instructions, which are at the beginning, find zeroes there.

    ## How to recognise it

    Nothing on any console. A triple fault a few instructions behind 100000H, mostly where a segment is loaded from a GDT of zeroes; or a hang
    there. `setup_sects` (1F1H) and `syssize` (1F4H, in units of 16 bytes) give the length: (`setup_sects` + 1) * 512 + `syssize` * 16.

    ## Why

    A download or a copy that broke off, a full disk or image, a build that was interrupted.

    ## The cure

    The whole file. A file that is longer is no mistake: a signature may follow.

    Linux Documentation/arch/x86/boot.rst; arch/x86/boot/compressed/vmlinux.lds.S, head_64.S; QEMU hw/i386/x86.c: x86_load_linux, 7.2.
    """
}
