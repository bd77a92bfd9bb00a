import X86

/// QEMU's own walk for its monitor, which looks at P alone and at no reserved bit (target/i386/helper.c:
/// x86_cpu_get_phys_page_attrs_debug and target/i386/monitor.c: tlb_info_*, 7.2).
///
/// It is the library's walk on entries whose reserved bits are taken out as they are met.
struct DebugWalk {
  /// How many bits of a table's address are looked at.
  var addressBits: Int

  /// Of `gva2gpa`.
  static let translation = DebugWalk(addressBits: 52)
  /// Of `info tlb`, whose masks end at bit 49, but for the entries of 32-bit paging.
  static let listing = DebugWalk(addressBits: 50)

  /// What a processor with these registers does, as this walk sees it. Where an entry has bits that are taken out, the
  /// walk's entries lack them.
  func walk(_ paging: Paging, _ address: LinearAddress, in memory: some PhysicalMemory) -> PageWalk {
    var paging = paging
    paging.pdpteRegisters = nil
    paging.rules = PagingRules(
      hasGiBPages: true, maximumPhysicalAddressBits: addressBits, executeDisableEnabled: true, isAMD: false,
      fourMiBPageAddressBits: 40, quirks: [.readsPDPTEs, .ignoresPDPTEBits])
    // Every right is allowed to a supervisor who reads.
    paging.protection = PageProtection(cr0: [], cr4: [], rflags: [])
    let forgiving = ForgivingMemory(memory: memory)
    while true {
      forgiving.step = 0
      let walk = paging.walk(address, for: PageAccess(.read, by: .supervisor), in: forgiving)
      guard case .pageFault(let fault) = walk.outcome, case .reservedBits(let violations) = fault.cause else {
        return walk
      }
      forgiving.cleared[walk.steps.count - 1, default: 0] |= violations.definiteBits
    }
  }
}

/// One page in the monitor's `info tlb`: `ffff800000000000: 0000000000103000 X-P-A--UW`.
struct TLBLine: Hashable {
  var address: UInt64
  var page: UInt64
  /// X, G, P, D, A, C, T, U and W, or `-` in their places.
  var flags: String

  init?(_ text: Substring) {
    let words = text.split(separator: " ")
    guard words.count == 3, words[0].hasSuffix(":"), let address = UInt64(words[0].dropLast(), radix: 16),
      let page = UInt64(words[1], radix: 16)
    else { return nil }
    self.address = address
    self.page = page
    flags = String(words[2])
  }

  /// The line of the page that a walk came to; nil where it came to none.
  ///
  /// - Parameter memory: Holds the entry with all its bits.
  init?(_ walk: PageWalk, in memory: some PhysicalMemory) {
    guard case .translated(let translation) = walk.outcome, let step = walk.steps.last else { return nil }
    let isTwoLevel = translation.format.isTwoLevel
    guard let low = try? memory.loadUInt32(at: step.entryAddress),
      let whole = isTwoLevel ? UInt64(low) : try? memory.loadUInt64(at: step.entryAddress)
    else { return nil }
    // Bit 7 of a PTE is PAT.
    let entry = translation.structure == .pageTable ? whole & ~(1 << 7) : whole
    address = walk.address.rawValue & ~(translation.pageSize - 1)
    page = entry & Self.mask(of: translation)
    let bits: [(Character, UInt64)] = [
      ("X", 63), ("G", 8), ("P", 7), ("D", 6), ("A", 5), ("C", 4), ("T", 3), ("U", 2), ("W", 1),
    ]
    flags = String(bits.map { name, bit in entry >> bit & 1 != 0 ? name : "-" })
  }

  /// What QEMU prints of an entry as the page's address: in PAE paging bits 63:52 as well, bit 20 of a 2 MiB page, and of a
  /// 4 MiB page bit 21 and not the address's bits 39:32 (target/i386/monitor.c: tlb_info_32, tlb_info_pae32, tlb_info_la48,
  /// 7.2).
  private static func mask(of page: Translation) -> UInt64 {
    switch (page.format, page.structure) {
    case (.longMode, _): 0x0003_FFFF_FFFF_FFFF & ~(page.pageSize - 1)
    case (.pae, .pageDirectory): ~0xF_FFFF
    case (_, .pageDirectory): 0xFFE0_0000
    default: ~0xFFF
    }
  }
}

/// Memory that gives the entries of a walk, some of them with bits taken out. The same entry may be met at two levels, at
/// which other bits are reserved.
private final class ForgivingMemory<Memory: PhysicalMemory>: PhysicalMemory {
  let memory: Memory
  /// How many entries the walk has read.
  var step = 0
  /// The bits to take out of the entry of a step.
  var cleared: [Int: UInt64] = [:]

  init(memory: Memory) { self.memory = memory }

  func read(_ address: PhysicalAddress, into buffer: inout MutableSpan<UInt8>) throws(UnavailableMemory) {
    try memory.read(address, into: &buffer)
    if let bits = cleared[step] {
      for index in buffer.indices { buffer[index] &= UInt8(truncatingIfNeeded: ~bits >> UInt64(8 * index)) }
    }
    step += 1
  }
}
