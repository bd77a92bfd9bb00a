import QEMU
import X86

/// `boot.kernel-without-room`: the machine has less memory than the kernel's setup header asks for.
struct KernelWithoutRoom: SingleCause, JudgedCause {
  static let id = "boot.kernel-without-room"
  static let title = "The machine has less memory than the Linux kernel starts in"
  static let refines = [TableOutsideRAM.id, FetchOutsideMemory.id, StackNotMapped.id]
  let confidence: Confidence
  let evidence: [Evidence]
  private let place: LinuxSetupHeader.RunningPlace
  private let memorySize: UInt64

  init?(_ start: LinuxStart) {
    guard let place = start.header.runningPlace, let size = start.scene.commandLine?.memorySize, size < place.end
    else { return nil }
    (self.place, memorySize) = (place, size)
    let header = Evidence(
      "The setup header asks for \(place.size.hexadecimal) bytes (init_size) from \(place.start.hexadecimal) on (pref_address, kernel_alignment)",
      start.source)
    let uses = start.processors.flatMap { Self.uses(of: $0, from: size, to: place.end) }
    confidence = uses.isEmpty ? .likely : .proven
    evidence = [header, Evidence("The machine has \(sizeInWords(size)) of memory", .commandLine)] + uses
  }

  /// What a processor has where the memory is missing.
  private static func uses(of processor: ObservedProcessor, from start: UInt64, to end: UInt64) -> [Evidence] {
    let state = processor.state
    let root = state.cr0.contains(.paging) ? state.cr3 & ~0xFFF : 0
    let tables =
      processor.knowsTables ? [("The GDT", state.gdtr.base.rawValue), ("The IDT", state.idtr.base.rawValue)] : []
    let places = [("CR3", root), ("The stack pointer", state.stackAddress &- 1)] + tables
    let pointer = state.instructionAddress.rawValue
    // Code that is not there is zeroes under TCG, through which the processor runs on.
    let isAstray = pointer >= start ? [("RIP", pointer)] : []
    return (places.filter { (start..<end).contains($0.1) } + isAstray).map { name, address in
      Evidence("\(name) is \(address.hexadecimal), where there is no memory", processor.source)
    }
  }

  private var mebibytes: UInt64 { (place.end + (1 << 20) - 1) >> 20 }

  /// The next power of two, which leaves the kernel proper something.
  private var proposal: UInt64 {
    var size: UInt64 = 64
    while size < mebibytes { size <<= 1 }
    return size
  }

  var summary: String {
    "The kernel's setup header asks for memory from \(place.start.hexadecimal) to \(place.end.hexadecimal) to start in, which takes \(mebibytes) MiB in all; the machine has "
      + "\(sizeInWords(memorySize)). The first code moves itself, with its stack and page tables, to the end of that, where there is nothing."
  }

  var remedies: [Remedy] {
    [
      .option(
        "-m", "\(proposal)",
        "\(mebibytes) MiB is what the kernel starts in; it may need more to run, and an initrd comes on top.",
        available: nil)
    ]
  }

  static let manual = """
    A bzImage unpacks itself where it is to run, and its setup header says where that is and how much room it takes: `pref_address` (258H) and `init_size` (260H).
    The code that unpacks moves itself to the end of that room first, with its stack and its page tables. QEMU does not compare
    any of this with `-m`: the code is moved to where there is no memory.

    ## How to recognise it

    Nothing on any console: it is too early for one. A triple fault between 100000H and the end of the room, often at the first instruction after CR0.PG was
    set, with CR3 above the end of memory.

    ## Why

    `-m` is too small for the kernel. A kernel for many machines takes 70 to 100 MiB at its start, most of that room to unpack.

    ## The cure

    `-m` with more, or a smaller kernel.

    Linux Documentation/arch/x86/boot.rst; arch/x86/boot/compressed/head_64.S, head_32.S; QEMU hw/i386/x86.c: x86_load_linux, 7.2.
    """
}
