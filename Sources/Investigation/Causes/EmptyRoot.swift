import GuestImage
import X86

/// `paging.wrong-cr3`: CR3 was just loaded, with the address of a page that holds no entry at all, or leads to real mode's vectors.
struct EmptyRoot: PageFaultCause {
  static let manuals: [ManualPage] = []

  let fault: FirstFault
  let access: FailedAccess
  var mark: String { isOfVectors ? "two of real mode's interrupt vectors" : "no entry of this table is present" }

  private let root: UInt64
  /// Whether the entry is made of two of the interrupt vectors that firmware left at 0.
  private let isOfVectors: Bool

  /// A fetch that ends at the root: right behind MOV CR3, where the code before could still be fetched, or among the vectors, which are no table
  /// whatever was done before.
  init?(_ fault: FirstFault, in scene: Scene) {
    guard fault.isOfFetch, let access = fault.exception.access, access.steps.count == 1, let instant = fault.instant,
      let entry = access.steps[0].entryAddress
    else { return nil }
    let table = entry.rawValue & ~0xFFF
    isOfVectors = entry.rawValue < 128 && ExecutingFirmwareData.hasVectors(instant.memory)
    guard isOfVectors || access.meetsNoPage && instant.isBehindRootLoad && Self.isEmpty(table, instant.memory) else {
      return nil
    }
    (self.fault, self.access, root) = (fault, access, table)
  }

  private static func isEmpty(_ table: UInt64, _ memory: any PhysicalMemory) -> Bool {
    guard let bytes = try? memory.bytes(at: PhysicalAddress(table), count: 4096) else { return false }
    return bytes.allSatisfy { $0 == 0 }
  }

  var id: String { WrongRoot.id }
  var title: String { WrongRoot.title }

  var summary: String {
    isOfVectors ? vectorWords : emptyWords
  }

  private var vectorWords: String {
    "The instruction at \(access.address.rawValue.hexadecimal) cannot be fetched: CR3 is \((fault.state?.cr3 ?? 0).hexadecimal), and at physical 0 lie no page "
      + "tables but the interrupt vectors that firmware left for real mode. CR3 is 0 after a reset: nobody loaded it on this processor, or loaded it with 0."
  }

  private var emptyWords: String {
    "The instruction at \(access.address.rawValue.hexadecimal), right behind MOV CR3, cannot be fetched any more: CR3 points to \(root.hexadecimal), and that page is all zeroes, a table without an entry."
  }

  var remedies: [Remedy] {
    if isOfVectors {
      return [
        .guest(
          "load CR3 with the physical address of the root table before CR0.PG is set, on each processor",
          "Which address it is a linker or a boot processor has to tell; it is no linear one.")
      ]
    }
    return [
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
