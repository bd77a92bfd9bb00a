import X86

/// `paging.index-past-table`: a loop that fills page tables has run past the end of one.
struct TableIndexOverflow: PageFaultCause, SingleCause {
  static let id = "paging.index-past-table"
  static let title = "A page table is filled beyond its last entry"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present"
  private let facts: [String]

  /// A write that meets no page, or the next instruction that does, by code whose registers hold an entry and an index that has left its table.
  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.access.kind == .write || fault.isOfFetch,
      access.errorCode.isDisjoint(with: [.present, .reserved]),
      let state = fault.state
    else { return nil }
    facts = RegisterObservations.indexesPastTable(state)
    guard !facts.isEmpty else { return nil }
    self.fault = fault
    self.access = access
  }

  var isDecided: Bool { false }

  var summary: String {
    "The \(access.access.kind == .write ? "write to" : "fetch from") \(place) met a page that is not present, while the registers are those of a loop that fills page tables: \(facts.joined(separator: "; ")). What lies behind the table, perhaps the next table in force, was overwritten."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "stop at index 511, and map only what is RAM: leave out reserved ranges of the memory map, which reach to 1 TiB and beyond",
        "A table has 512 entries; the 513th is the first of the page behind it."),
      .guest(
        "allocate as many page-directory-pointer tables and directories as the highest address needs",
        "Each page directory covers 1 GiB, each page-directory-pointer table 512 GiB."),
    ]
  }

  static let manual = """
    A loop that maps all of memory counts on past the last entry of a table, 511, and writes the next entries into the page behind it. If that is
    the next table, in force already, the mapping that the loop itself runs on is replaced.

    ## How to recognise it

    A page fault on a write in early set-up code, of an address that was mapped a moment ago; a register holds an index of 512 or more, another an
    entry (an address with flags such as 83).

    ## Why

    The loop takes the highest address of the memory map for the end of RAM. Firmware's map has reserved ranges far above it: since version 7.1
    QEMU reports one below 1 TiB (the HyperTransport hole of AMD processors).

    ## The cure

    Look at the type of each range (E820: 1 is RAM), and check the index.

    SDM vol. 3, 4.5; QEMU hw/i386/pc.c: pc_set_amd_above_4g_mem_start and pc_memory_init, 7.1.
    """
}
