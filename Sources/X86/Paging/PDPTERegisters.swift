/// The four registers that hold the page-directory-pointer-table entries of PAE paging (SDM vol. 3, 4.4.1).
///
/// A processor loads them from memory when CR3 is written and walks by the registers from then on, whatever becomes of
/// the memory.
public struct PDPTERegisters: Hashable, Sendable {
  public var pdpte0: UInt64
  public var pdpte1: UInt64
  public var pdpte2: UInt64
  public var pdpte3: UInt64

  public init(_ pdpte0: UInt64, _ pdpte1: UInt64, _ pdpte2: UInt64, _ pdpte3: UInt64) {
    self.pdpte0 = pdpte0
    self.pdpte1 = pdpte1
    self.pdpte2 = pdpte2
    self.pdpte3 = pdpte3
  }

  /// The register that translates a linear address whose bits 31:30 are `index`; only its two lowest bits count.
  @inlinable
  public subscript(index: Int) -> PageTableEntry {
    switch index & 3 {
    case 0: PageTableEntry(pdpte0)
    case 1: PageTableEntry(pdpte1)
    case 2: PageTableEntry(pdpte2)
    default: PageTableEntry(pdpte3)
    }
  }
}

/// Why the PDPTE registers cannot be loaded from memory: the write to CR3, CR0 or CR4 that asks for it raises #GP(0).
public struct PDPTELoadFault: Error, Hashable, Sendable {
  public enum Cause: Hashable, Sendable {
    /// The entry is present and has reserved bits set.
    case reservedBits(ReservedBitViolations)
    /// Nothing backs the table. KVM then raises #GP (`x86.c: load_pdptrs`, 6.19).
    case tableUnbacked(UnavailableMemory)
    /// What is in the table is not known.
    case tableUnavailable(UnavailableMemory)
    /// The entry may have reserved bits set; what decides is not known.
    case possiblyReservedBits(ReservedBitViolations)
  }

  /// Which of the four, 0 to 3.
  public var index: Int
  public var cause: Cause

  public init(index: Int, cause: Cause) {
    self.index = index
    self.cause = cause
  }

  /// Whether the load raises #GP for certain.
  public var isDefinite: Bool {
    switch cause {
    case .reservedBits, .tableUnbacked: true
    case .tableUnavailable, .possiblyReservedBits: false
    }
  }
}

extension Paging {
  /// What a load of the PDPTE registers reads now, from the four entries at CR3[31:5].
  ///
  /// An entry that is not present is loaded like any other. A definite fault of a later entry comes before a doubt about
  /// an earlier one, for the load fails whatever the doubt resolves to (SDM vol. 3, 4.4.1; KVM `x86.c: load_pdptrs`,
  /// 6.19). QEMU's TCG never loads the registers and raises nothing here.
  public func loadPDPTEs(from memory: borrowing some PhysicalMemory) throws(PDPTELoadFault) -> PDPTERegisters {
    var registers = PDPTERegisters(0, 0, 0, 0)
    var doubt: PDPTELoadFault?
    for index in 0..<4 {
      do throws(PDPTELoadFault) {
        let entry = try loadPDPTE(index, from: memory)
        switch index {
        case 0: registers.pdpte0 = entry
        case 1: registers.pdpte1 = entry
        case 2: registers.pdpte2 = entry
        default: registers.pdpte3 = entry
        }
      } catch {
        if error.isDefinite { throw error }
        doubt = doubt ?? error
      }
    }
    if let doubt { throw doubt }
    return registers
  }

  private func loadPDPTE(_ index: Int, from memory: borrowing some PhysicalMemory) throws(PDPTELoadFault) -> UInt64 {
    let raw: UInt64
    do throws(UnavailableMemory) {
      raw = try memory.loadUInt64(at: PhysicalAddress(pdpteTable.rawValue &+ 8 &* UInt64(index)))
    } catch {
      throw PDPTELoadFault(
        index: index, cause: isFaultingTable(error) ? .tableUnbacked(error) : .tableUnavailable(error))
    }
    let violations = rules.violations(of: PageTableEntry(raw), at: .pageDirectoryPointerTable, in: .pae)
    if violations.isEmpty { return raw }
    throw PDPTELoadFault(
      index: index, cause: violations.areDefinite ? .reservedBits(violations) : .possiblyReservedBits(violations))
  }

  /// The table that the PDPTE registers are loaded from: CR3[31:5] (`x86.c: load_pdptrs`, 6.19).
  @inlinable
  var pdpteTable: PhysicalAddress { PhysicalAddress(cr3 & 0xFFFF_FFE0) }
}
