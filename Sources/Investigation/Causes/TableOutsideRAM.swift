import QEMU
import X86

/// `paging.table-outside-ram`: an entry, or CR3, leads to a table where there is no memory.
struct TableOutsideRAM: PageFaultCause, SingleCause {
  static let id = "paging.table-outside-ram"
  static let title = "A page table lies where there is no memory"
  static let refines = [CodeNotMapped.id, PageNotMapped.id]

  let fault: FirstFault
  let access: FailedAccess
  private let memorySize: UInt64?

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.meetsNoTable else { return nil }
    (self.fault, self.access) = (fault, access)
    memorySize = scene.commandLine?.memorySize
  }

  /// Whoever's access it was.
  var isDecided: Bool { !access.steps.isEmpty }

  var mark: String { "leads to where there is no memory" }

  var offendingBits: UInt64 { access.last.map { $0.entry.rawValue & 0x000F_FFFF_FFFF_F000 } ?? 0 }

  private var pointer: String {
    guard let step = access.last else { return "CR3 (\((fault.state?.cr3 ?? 0).hexadecimal))" }
    return "The \(step.structure.entryName) \(step.entry.rawValue.hexadecimal)"
  }

  var summary: String {
    "\(pointer) leads to a table where the machine has no memory, so the walk of \(place) finds nothing present."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "put the physical address of the table into the entry: not a linear one, and within the machine's RAM",
        "A table is found by its physical address, bits 12 to 51 of the entry."),
      memoryRemedy,
    ]
  }

  private var memoryRemedy: Remedy {
    let reason = "If the address is meant, the machine is too small for it."
    guard let mebibytes else {
      return Remedy(kind: .commandLine, change: "-m with more memory", reason: reason, available: nil)
    }
    return .option("-m", "\(mebibytes)", reason, available: nil)
  }

  /// The next power of two of MiB that holds the table; nil beyond 2 GiB, from where on what lies where depends on the machine
  /// (hw/i386/pc_piix.c: pc_init1, pc_q35.c: pc_q35_init, 7.2).
  private var mebibytes: UInt64? {
    guard let memorySize, memorySize <= offendingBits, offendingBits < 2 << 30 else { return nil }
    var size: UInt64 = 1
    while size << 20 <= offendingBits { size <<= 1 }
    return size
  }

  var circumstances: [Evidence] {
    [
      Evidence(
        "KVM and TCG report such a table as not present; a processor would read whatever its bus answers",
        .assumed("Linux arch/x86/kvm/mmu/paging_tmpl.h: walk_addr_generic"))
    ]
  }
}

extension TableOutsideRAM {
  static let manual = """
    An entry of the page tables, or CR3 itself, leads to a table where the machine has no memory. KVM's walker takes such a table for
    one in which nothing is present and raises #PF; TCG reads zeros there, with the same result. A processor without a hypervisor reads
    whatever its bus answers, usually all ones.

    ## How to recognise it

    `inquest walk ADDRESS` shows the walk up to the entry, and that nothing answers at its address. The error code has P (bit 0) clear
    although the entry is present.

    ## Why

    - A linear address was put into the entry where a physical one belongs: high-half kernels forget to subtract their base.
    - Flags were shifted or added into the address.
    - The allocator of page frames believes in more memory than `-m` gives: it did not read the memory map.
    - CR3 was never loaded, or with the address of a pointer instead of the table.

    ## The cure

    Put the physical address of the table into bits 12 to 51 of the entry; take page frames from the memory map that the firmware or the
    boot protocol tells.

    SDM vol. 3, 4.2 and 4.5; Linux arch/x86/kvm/mmu/paging_tmpl.h: walk_addr_generic.
    """
}
