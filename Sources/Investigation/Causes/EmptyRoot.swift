import GuestImage
import X86

/// `paging.wrong-cr3`: CR3 was just loaded, with the address of a page that holds no entry at all.
struct EmptyRoot: PageFaultCause {
  static let manuals: [ManualPage] = []

  let fault: FirstFault
  let access: FailedAccess
  let mark = "no entry of this table is present"

  private let root: UInt64

  /// A fetch right behind MOV CR3 that ends at the root: the code before could still be fetched.
  init?(_ fault: FirstFault, in scene: Scene) {
    guard fault.isOfFetch, let access = fault.exception.access, access.steps.count == 1, access.meetsNoPage,
      let instant = fault.instant, instant.isBehindRootLoad,
      let table = access.steps[0].entryAddress.map({ $0.rawValue & ~0xFFF }),
      let bytes = try? instant.memory.bytes(at: PhysicalAddress(table), count: 4096), bytes.allSatisfy({ $0 == 0 })
    else { return nil }
    (self.fault, self.access, root) = (fault, access, table)
  }

  var id: String { WrongRoot.id }
  var title: String { WrongRoot.title }

  var summary: String {
    "The instruction at \(access.address.rawValue.hexadecimal), right behind MOV CR3, cannot be fetched any more: CR3 points to \(root.hexadecimal), and that page is all zeroes, a table without an entry."
  }

  var remedies: [Remedy] {
    [
      .guest(
        "fill the table before it is loaded: the kernel's own entries in every address space; and check the address, which is physical",
        "The next instruction is fetched through it at once.")
    ]
  }
}

extension Instant {
  /// Whether the bytes in front of RIP are MOV to CR3. They are read where RIP was mapped to itself, as boot code is, since the tables in
  /// force do not map it.
  fileprivate var isBehindRootLoad: Bool {
    let place = PhysicalAddress(state.instructionAddress.rawValue &- 3)
    guard let bytes = try? memory.bytes(at: place, count: 3) else { return false }
    return bytes[0] == 0x0F && bytes[1] == 0x22 && bytes[2] & 0xF8 == 0xD8
  }
}
