import Processor

/// Tables of the guest's own, in which the first GiB is mapped to itself in 2 MiB pages until the guest changes it.
public struct AddressSpace: Sendable {
  public let pml4 = PageTable()
  public let pdpt = PageTable()
  /// The 2 MiB pages of the first GiB. The image lies in the first one.
  public let directory: PageTable

  /// - Parameter access: What all pages allow in addition to reading, writing and executing by the supervisor.
  public init(access: PageTableEntry = []) {
    directory = .directory(mappingGiBAt: 0)
    for page in 0..<512 { directory[page].insert(access) }
    pdpt[0] = [.table(directory), .present, .writable, access]
    pml4[0] = [.table(pdpt), .present, .writable, access]
  }

  /// Splits a 2 MiB page into 4 KiB pages that allow the same, and gives their table.
  public func split(_ page: Int) -> PageTable {
    let table = PageTable()
    let large = directory[page]
    for small in 0..<512 {
      table[small] = large.subtracting(.pageSize).union(.page(UInt64(small) << 12))
    }
    directory[page] = [.table(table), .present, .writable, large.intersection(.user)]
    return table
  }

  /// MOV to CR3.
  public func use() { writeCR3(pml4.address) }
}
