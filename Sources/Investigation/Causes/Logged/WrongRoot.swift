import GuestImage
import QEMU
import X86

/// `paging.wrong-cr3`: CR3 was loaded with what is no page table, or not the one that maps the code.
struct WrongRoot: CauseOfLoggedFault, SingleCause {
  static let id = "paging.wrong-cr3"
  static let title = "CR3 points to the wrong tables"
  static let refines = [CodeNotMapped.id]

  private let fault: LoggedFault
  /// The bits that the code clears in the value just before.
  private let cleared: UInt64?
  private let root: UInt64?
  private let symbol: (name: String, address: UInt64)?

  /// A fetch that fails right behind MOV CR3: the code before it could still be fetched.
  init?(_ fault: LoggedFault, in scene: Scene) {
    guard fault.isFetch, let move = fault.instructionsBefore.last, move.mnemonic == "mov",
      move.operands.first?.value == .register(.control(number: 3))
    else { return nil }
    self.fault = fault
    root = fault.dump?[.cr3]
    let source = move.operands.dropFirst().first?.value
    let mask = fault.instructionsBefore.reversed().dropFirst().first { $0.operands.first?.value == source }
    if let mask, mask.mnemonic == "and", case .immediate(let kept)? = mask.operands.dropFirst().first?.value {
      cleared = ~kept
    } else {
      cleared = nil
    }
    symbol = Self.symbol(scene, root: root, cleared: cleared)
  }

  /// A symbol whose address the cleared bits would make of CR3.
  private static func symbol(_ scene: Scene, root: UInt64?, cleared: UInt64?) -> (String, UInt64)? {
    guard let root, let cleared, cleared.nonzeroBitCount <= 4, cleared != 0 else { return nil }
    for entry in scene.log {
      guard case .symbol(let name, let address) = entry.value, address & ~cleared == root & ~0xFFF, address != root
      else { continue }
      return (name, address)
    }
    return nil
  }

  var summary: String {
    let place = root.map { " CR3 is \($0.hexadecimal)." } ?? ""
    let what =
      fault.pageFault?.contains(.reserved) == true
      ? "the walk met an entry with reserved bits set (RSVD): what CR3 points to is no page table"
      : "nothing maps it there: the tables that CR3 points to are not those that map this code"
    var text = "The instruction\(fault.place), right behind MOV CR3, cannot be fetched any more: \(what).\(place)"
    if let cleared, cleared != 0 {
      text += " The code clears \(bitNames(cleared)) of the value before it loads it"
      text +=
        symbol.map {
          ": \($0.address.hexadecimal), where \($0.name) is, becomes \((root ?? 0).hexadecimal). A bit that is part of the table's address was taken for a flag."
        }
        ?? ": a table whose address has that bit set becomes another."
    }
    return text
  }

  var confidence: Confidence { fault.isTripleFault ? .likely : .possible }

  var remedies: [Remedy] {
    let general = Remedy.guest(
      "load CR3 with the physical address of a PML4 (or root table) that maps the running code and stack",
      "The next instruction is fetched through it at once.")
    guard let cleared, cleared != 0 else { return [general] }
    return [
      .guest(
        "align the table so that the bits that are used as a flag are zero in its address (for bit 12, to 8 KiB), or do not clear them",
        "The code takes \(bitNames(cleared)) for a tag."), general,
    ]
  }

  static let manual = """
    MOV CR3 puts other tables in force at once: the very next instruction is fetched through them. If they do not map it, or if CR3 does not point
    to tables at all, that fetch fails, and so does everything that its delivery needs: a triple fault without a word.

    ## How to recognise it

    A #PF whose CR2 is RIP, and the instruction in front of RIP is `mov %reg, %cr3`. An error code with RSVD (8) says that what CR3 points to is
    no page table: code or data read as entries has bits set that must be zero.

    ## Why

    A linear address instead of the physical one; a table that was never filled, or not for this half of the address space; a bit of the
    address used as a tag, as kernels do with bit 12 for page-table isolation, where the table is not aligned for it; CR3 of another process
    that is already gone.

    ## The cure

    A table that maps code, stack, IDT, GDT and TSS, at the physical address that CR3 is given.

    SDM vol. 3, 4.5 and 4.10.4.1.
    """
}
