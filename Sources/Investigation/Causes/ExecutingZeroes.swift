import GuestImage
import X86

/// `execution.zeroes`: the processor runs through memory that holds nothing.
struct ExecutingZeroes: CauseOfDeath, SingleCause {
  static let id = "execution.zeroes"
  static let title = "Memory full of zeroes is executed"
  static let refines = [CodeNotMapped.id]

  private let fault: FirstFault
  private let pointer: LinearAddress

  /// `add [rax], al`, 00 00, in front of RIP and, where it can be fetched, at RIP; at least a zero, which no function begins with.
  init?(_ fault: FirstFault, in scene: Scene) {
    guard let instant = fault.instant, fault.exception.access != nil || fault.exception.vector == .generalProtection
    else { return nil }
    let pointer = instant.state.instructionAddress
    let before =
      scene.memory == nil
      ? scene.codeAsListed(before: pointer.rawValue, count: 16)
      : instant.bytes(at: LinearAddress(pointer.rawValue &- 16), count: 16, for: PageAccess(.read, by: .supervisor))
    // The last zero and the bytes behind the zeroes may make another instruction, an ADD too.
    let isZero = fault.instruction.map { $0.bytes.first == 0 } ?? (fault.isOfFetch && pointer.rawValue & 0xFFF < 2)
    if fault.isOfFetch, scene.memory != nil, !Self.isSliding(instant, fault) { return nil }
    guard isZero, before.count == 16, before.allSatisfy({ $0 == 0 }) else { return nil }
    self.fault = fault
    self.pointer = pointer
  }

  /// Whether the processor can have come through the zeroes to the end of what is mapped: RAX can be written all the while.
  private static func isSliding(_ instant: Instant, _ fault: FirstFault) -> Bool {
    let target = LinearAddress(instant.state.generalPurpose.rax)
    guard case .physical = instant.translate(target, for: PageAccess(.write, by: instant.privilege)) else {
      return false
    }
    return fault.exception.access?.meetsNoPage == true
  }

  var summary: String {
    let how =
      fault.isOfFetch
      ? "It ran on to the end of what is mapped"
      : fault.instruction.map { $0.bytes != [0, 0] } == true
        ? "It ran on to where they end: the last of them begins \(fault.instructionName), which fails (\(fault.exception.name))"
        : "It ran on until the address in RAX could not be written"
    return
      "The bytes before RIP (\(pointer.rawValue.hexadecimal)) are zeroes, which are `add [rax], al` to the processor: it has been executing empty "
      + "memory. \(how)."
  }

  /// A jump may have led right behind the zeroes.
  var isDecided: Bool { !fault.isOfFetch }

  var remedies: [Remedy] {
    [
      .guest(
        "find out what jumped into empty memory: an entry point or a segment that was not loaded where it belongs, a function pointer into "
          + ".bss, a page that was mapped but not filled", "No compiler makes such code.")
    ]
  }

  static let manual = """
    Zeroes are an instruction, `add [rax], al` (00 00). A processor that comes into empty memory runs on through it, two bytes at a time, until
    RAX holds an address that cannot be written, or the memory ends. In real mode it is `add [bx+si], al`, and IP wraps at the end of the
    segment: the processor goes round in 64 KiB of nothing, and the guest hangs.

    ## How to recognise it

    The bytes at and before RIP are zeroes; RIP has nothing to do with any symbol. The jump that led there may be far behind.

    ## Why

    The kernel's entry point is not where the loader put the image (a linear address used as a physical one, a wrong ELF header); .text was
    not loaded, or was cleared with .bss; a jump table in memory that was never filled.

    ## The cure

    Compare the ELF's program headers (`readelf -l`) with where the loader puts it, and what is in memory at the entry point.

    SDM vol. 2, ADD.
    """
}
