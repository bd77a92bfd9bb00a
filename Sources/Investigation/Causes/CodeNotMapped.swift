import X86

/// `paging.code-not-mapped`: the code that runs is not mapped in the tables that are in force.
struct CodeNotMapped: PageFaultCause, SingleCause {
  static let id = "paging.code-not-mapped"
  static let title = "The next instruction is not mapped"

  let fault: FirstFault
  let access: FailedAccess
  let mark = "not present"
  /// The bytes in front of the instruction, as a listing or the image has them.
  private let before: [UInt8]

  init?(_ fault: FirstFault, in scene: Scene) {
    guard let access = fault.exception.access, access.meetsNoPage, access.access.kind == .fetch else { return nil }
    (self.fault, self.access) = (fault, access)
    before = scene.codeAsListed(inFrontOf: access.address.rawValue, count: 3)
  }

  var summary: String {
    "\(deed), which is not mapped: \(lastEntry) is not present.\(explanation)"
  }

  private var explanation: String {
    if isRootEmpty {
      return
        " The whole root table that CR3 points to is empty: CR3 (\(root)) is wrong, or the tables were never written or were cleared."
    }
    if hasJustTurnedOnPaging {
      return " Paging was turned on by the instruction before: the code that does so must be mapped to its own address."
    }
    if hasJustLoadedCR3 {
      return " CR3 (\(root)) was loaded by the instruction before: the code that does so must be mapped there too."
    }
    if let missing = stackOfOnes {
      return
        " All ones is what reads where no memory is, and RSP leads there, to physical \(missing.address.rawValue.hexadecimal): what is pushed is lost, and a return took this from there."
    }
    return ""
  }

  /// What the stack leads to instead of memory, where RIP is what is read there.
  private var stackOfOnes: UnavailableMemory? {
    guard let instant = fault.instant, case let pointer = access.address.rawValue,
      pointer == .max || pointer == 0xFFFF_FFFF && instant.state.mode != .long64
    else { return nil }
    return instant.missingStack
  }

  private var root: String { (fault.state?.cr3 ?? 0).hexadecimal }

  private var isRootEmpty: Bool {
    guard access.steps.count == 1, let instant = fault.instant, let table = access.last?.entryAddress else {
      return false
    }
    let page = PhysicalAddress(table.rawValue & ~0xFFF)
    guard let bytes = try? instant.memory.bytes(at: page, count: 4096) else { return false }
    return bytes.allSatisfy { $0 == 0 }
  }

  /// MOV to CR0 or CR3, 0F 22 /r, in front of RIP; its bytes may be mapped no more, but the physical memory under them is
  /// known where the code was mapped to itself.
  private func isBehindMove(to register: UInt8) -> Bool {
    let address = PhysicalAddress(access.address.rawValue &- 3)
    let read = fault.instant.flatMap { try? $0.memory.bytes(at: address, count: 3) }
    let bytes = read ?? before
    guard bytes.count == 3 else { return false }
    return bytes[0] == 0x0F && bytes[1] == 0x22 && bytes[2] >> 3 & 7 == register
  }

  private var hasJustTurnedOnPaging: Bool { isBehindMove(to: 0) && fault.state?.cr0.contains(.paging) == true }

  private var hasJustLoadedCR3: Bool { isBehindMove(to: 3) }

  var remedies: [Remedy] {
    if isRootEmpty {
      return [
        .guest("load CR3 with the physical address of the filled root table", "At that address all entries are zero.")
      ]
    }
    if stackOfOnes != nil {
      return [.guest("point RSP at the top of memory that is there", "The stack keeps nothing.")]
    }
    if hasJustTurnedOnPaging || hasJustLoadedCR3 {
      return [
        .guest(
          "map the page at \(place) to itself in the new tables until the code has jumped elsewhere",
          "The processor fetches the very next instruction through them.")
      ]
    }
    return [
      .guest(
        "map the code at \(place), or find out what jumped there: a bad pointer, a return address that was overwritten",
        "The address is not mapped.")
    ]
  }
}

extension CodeNotMapped {
  static let manual = """
    The processor fetches the next instruction through page tables in which its page is not present: #PF, CR2 = RIP.

    ## How to recognise it

    If CR0.PG or CR3 was written by the instruction before, the new tables lack the code that turned them on. If the first entry of the walk
    is already zero, see what the table at CR3 holds: `inquest map`.

    ## Why

    - The code that turns paging on, or loads CR3, is not mapped to its own address in the new tables.
    - CR3 points to a wrong place, or to a table that is still empty or was cleared: .bss was zeroed after the tables were built in it.
    - The loader's tables were replaced, and the kernel's own part of the address space, the stack or the handlers were forgotten.
    - A jump or return through a bad address.

    ## The cure

    Map the page of the switch to itself until the code has jumped to its final address. Build tables after .bss is cleared.

    SDM vol. 3, 4.5, 9.8.5; APM vol. 2, 14.6.
    """
}
